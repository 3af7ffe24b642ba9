"""What a new password needs, and what becomes of tokens when the server's keys change."""

from __future__ import annotations

import pytest

from async_auth import ApiError, InvalidToken

PASSWORD = "secret-enough"


@pytest.mark.parametrize("server", [{"current_password": True}], indirect=True)
async def test_a_new_password_may_need_the_old_one(server, ann):
    """Without it, and with a wrong one, nothing changes; who came by a code has forgotten it."""
    for given, code in (
        ({}, "current_password_required"),
        ({"current_password": "wrong-one"}, "current_password_invalid"),
    ):
        with pytest.raises(ApiError) as raised:
            await ann.update_user(password="another-secret", **given)
        assert (400, code) == (raised.value.status, raised.value.code)
    await ann.update_user(password="another-secret", current_password=PASSWORD)

    await ann.reset_password_for_email("ann@example.com")
    code = server.outbox[-1].code
    await ann.verify_otp(email="ann@example.com", token=code, type="recovery")
    await ann.update_user(password="a-third-secret")
    await ann.sign_in_with_password(email="ann@example.com", password="a-third-secret")


@pytest.mark.parametrize("server", [{"reauthentication": True}], indirect=True)
async def test_a_new_password_may_need_a_nonce(server, ann):
    """It comes by mail, and is good once."""
    with pytest.raises(ApiError) as raised:
        await ann.update_user(password="another-secret")
    assert "reauthentication_needed" == raised.value.code
    await ann.reauthenticate()
    nonce = server.outbox[-1].code
    with pytest.raises(ApiError) as raised:
        await ann.update_user(password="another-secret", nonce="0" * 6 if nonce[0] != "0" else "1")
    assert "reauthentication_not_valid" == raised.value.code
    await ann.update_user(password="another-secret", nonce=nonce)
    with pytest.raises(ApiError) as raised:
        await ann.update_user(password="a-third-secret", nonce=nonce)
    assert "reauthentication_not_valid" == raised.value.code


@pytest.mark.parametrize("server", [{"algorithm": "ES256"}], indirect=True)
async def test_a_rotated_key_refuses_no_good_token(server, ann):
    """Tokens of the old key and the new one verify; once the old one is gone, its do not."""
    old = ann.session.access_token
    server.rotate_keys()
    await ann.refresh_session()
    subjects = {(await ann.get_claims(token)).sub for token in (old, ann.session.access_token)}
    assert {ann.session.user.id} == subjects
    keys = {key["kid"] for key in server.jwks()["keys"]}

    server.rotate_keys(keep_old=False)
    await ann.refresh_session()
    assert ann.session.user.id == (await ann.get_claims()).sub
    assert 1 == len({key["kid"] for key in server.jwks()["keys"]} - keys)
    with pytest.raises((ApiError, InvalidToken)):
        await ann.get_user(old)
