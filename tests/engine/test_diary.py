"""The log: which event at which level, no flood in an outage, and no secret anywhere."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from async_auth import (
    AuthError,
    Lagged,
    RefreshFailed,
    ServerUnavailable,
    Session,
    SignedIn,
    SignedOut,
    StoreError,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.engine.diary import CALM, Diary
from async_auth.events import (
    AccessTokenPayloadUpdated,
    ApiInvalidClaim,
    InitialSession,
    MfaChallengeVerified,
    PasswordRecovery,
    UserUpdated,
)

ACCESS, REFRESH, CLAIM = "access-hush-token", "refresh-hush-token", "claim-hush-value"
SESSION = Session(access_token=ACCESS, refresh_token=REFRESH, user={"email": CLAIM})
AWAY = ServerUnavailable("The server is away.", status=503)
FULL = StoreError("The disk is full.")
OURS = {"session": SESSION, "key": "ada"}

LEVELS = [
    (InitialSession(**OURS), "DEBUG", "INITIAL_SESSION 'ada'"),
    (SignedIn(**OURS), "INFO", "SIGNED_IN 'ada'"),
    (TokenRefreshed(**OURS), "DEBUG", "TOKEN_REFRESHED 'ada'"),
    (UserUpdated(**OURS), "DEBUG", "USER_UPDATED 'ada'"),
    (PasswordRecovery(**OURS), "DEBUG", "PASSWORD_RECOVERY 'ada'"),
    (MfaChallengeVerified(**OURS), "DEBUG", "MFA_CHALLENGE_VERIFIED 'ada'"),
    (AccessTokenPayloadUpdated(**OURS), "DEBUG", "ACCESS_TOKEN_PAYLOAD_UPDATED 'ada'"),
    (
        ApiInvalidClaim(**OURS, claim_validation_errors=({"id": CLAIM},)),
        "DEBUG",
        "API_INVALID_CLAIM 'ada'",
    ),
    (Lagged(**OURS, missed=3), "DEBUG", "LAGGED 'ada'"),
    (
        RefreshFailed(**OURS, error=AWAY),
        "WARNING",
        "REFRESH_FAILED 'ada': ServerUnavailable: The server is away. (status 503)",
    ),
    (
        StoreFailed(**OURS, error=FULL),
        "WARNING",
        "STORE_FAILED 'ada': StoreError: The disk is full.",
    ),
    (SignedOut(reason="user", **OURS), "INFO", "SIGNED_OUT 'ada': user"),
    (SignedOut(reason="elsewhere", **OURS), "INFO", "SIGNED_OUT 'ada': elsewhere"),
    (SignedOut(reason="rejected", **OURS), "WARNING", "SIGNED_OUT 'ada': rejected"),
    (
        SignedOut(reason="session_not_found", **OURS),
        "WARNING",
        "SIGNED_OUT 'ada': session_not_found",
    ),
    (SignedOut(reason="theft", **OURS), "ERROR", "SIGNED_OUT 'ada': theft"),
]


@pytest.fixture(autouse=True)
def everything(caplog):
    """Have all of the log."""
    caplog.set_level(logging.DEBUG, "async_auth")
    return caplog


@pytest.mark.parametrize("event,level,message", LEVELS, ids=[line[2] for line in LEVELS])
def test_each_event_has_its_level_and_shows_no_secret(caplog, our_log, event, level, message):
    """The table of the README, line by line."""
    Diary().enter(event)

    assert [("async_auth.engine", level, message)] == [
        (record.name, record.levelname, record.getMessage()) for record in our_log()
    ]
    assert "hush" not in caplog.text


def test_no_event_is_left_out():
    """A new event needs a line in the table."""
    import async_auth.events as words

    kinds = {kind for kind in vars(words).values() if isinstance(kind, type)}
    kinds = {kind for kind in kinds if issubclass(kind, words.Event) and kind is not words.Event}
    assert kinds == {type(event) for event, _, _ in LEVELS}


def test_an_outage_of_many_sessions_warns_once_in_a_minute(our_log):
    """The others are there for whoever debugs; failures of the store are a matter of their own."""
    diary = Diary()
    for at in (0.0, 0.0, 1.0, CALM - 1, CALM, CALM + 1):
        diary.enter(RefreshFailed(error=AWAY, at=at))
    diary.enter(StoreFailed(error=FULL, at=CALM + 2))
    diary.enter(RefreshFailed(error=AWAY, at=10.0))

    expected = ["WARNING", *["DEBUG"] * 3, "WARNING", "DEBUG", "WARNING", "WARNING"]
    assert expected == [record.levelname for record in our_log()]


async def test_a_life_at_debug_shows_no_secret(stage, caplog, our_log):
    """Everything that happens to a session over a real connection, and all that is logged."""
    client = await stage.signed_in()
    secrets = {stage.PASSWORD}

    def keep():
        secrets.update((client.session.access_token, client.session.refresh_token))

    keep()
    await client.refresh_session()
    keep()
    await client.update_user(data={"nickname": "ada"})
    mine = client.session.refresh_token
    for status, body in (
        (503, f"<html>cannot POST refresh_token={mine}"),
        (500, {"code": 500, "error_code": mine, "msg": f"row {mine} is locked"}),
        (429, {"code": 429, "msg": f"slow down, {mine}"}),
        (200, f'{{"access_token": "{mine}", "refresh_to'),
    ):
        stage.server.faults.add(stage.REFRESH, status=status, body=body)
        with pytest.raises(AuthError):
            await client.refresh_session()
        stage.clock.advance(CALM + 60)
    body = {"error_code": "refresh_token_already_used", "msg": f"{mine} was used"}
    stage.server.faults.add(stage.REFRESH, status=400, body=body)
    with pytest.raises(AuthError):
        await client.refresh_session()
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    keep()
    await client.sign_out()

    assert {"DEBUG", "INFO", "WARNING"} <= {record.levelname for record in our_log()}
    assert [] == [secret[:8] for secret in secrets if secret in caplog.text]


def test_nothing_is_written_unless_the_program_sets_up_logging():
    """Not even warnings, which Python prints where nobody has set anything up."""
    code = (
        "from async_auth.engine.diary import Diary\n"
        "from async_auth import SignedOut\n"
        "Diary().enter(SignedOut(reason='theft'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert "" == done.stdout + done.stderr
