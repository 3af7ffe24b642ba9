"""RFC 6238, by its own test vectors."""

from __future__ import annotations

import pytest

from async_auth.testing.gotrue import totp

# Appendix B, the last six of the eight digits.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    "now, code",
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_the_rfc(now: float, code: str) -> None:
    """SHA-1, six digits, steps of thirty seconds."""
    assert code == totp.code_at(SECRET, now)


def test_a_code_is_good_for_a_step_before_and_after() -> None:
    """Clocks differ, but not by a minute."""
    code = totp.code_at(SECRET, 1000)

    assert [False, True, True, True, False] == [
        totp.is_code(SECRET, code, now) for now in (930, 965, 1000, 1045, 1080)
    ]


def test_secrets_are_base32_without_padding() -> None:
    """As authenticator apps take them."""
    secret = totp.new_secret()

    assert (32, True) == (len(secret), secret.isalnum())
    assert totp.new_secret() != secret
