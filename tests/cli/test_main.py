"""The entry point, with the extra and without."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("package", ["anyio", "click", "rich"])
def test_a_missing_extra_is_one_clear_line(cli, package):
    """Without what the extra brings it says what to install, and ends with 2 and no traceback."""
    done = cli.run("demo", before=f"import sys; sys.modules[{package!r}] = None")

    assert 2 == done.returncode
    assert f'async-auth needs {package}: pip install "async_auth[cli]"\n' == done.stderr
    assert "" == done.stdout


def test_what_is_called_otherwise_where_one_installs_it(cli):
    """The line has that name; it comes when the module is wanted, which is late."""
    done = cli.run("profiles", before="import sys; sys.modules['tomli_w'] = None")

    assert 2 == done.returncode
    assert 'async-auth needs tomli-w: pip install "async_auth[cli]"\n' == done.stderr


def test_any_other_missing_module_is_a_traceback(cli):
    """What no extra would bring is a mistake that must be seen."""
    done = cli.run("demo", before="import sys; sys.modules['async_auth.gotrue'] = None")

    assert 1 == done.returncode
    assert "async_auth.gotrue" in done.stderr
    assert "Traceback" in done.stderr
