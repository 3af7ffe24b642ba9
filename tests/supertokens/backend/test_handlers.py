"""The application's own answers to errors: what may be given."""

from __future__ import annotations

import attrs
import pytest

from async_auth import AuthError, ConfigurationError
from async_auth.supertokens import ErrorHandlers


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(ErrorHandlers)])
def test_handlers_are_functions(name):
    """Anything else is refused by its name."""
    with pytest.raises(ConfigurationError, match=name):
        ErrorHandlers(**{name: "me"})


def test_other_errors_have_none():
    """What no handler is for goes to none."""
    assert None is ErrorHandlers(unauthorised=print).of(AuthError())
