"""`use_tokens` of SQLAlchemy, with a real PostgreSQL and a real auth server."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from async_auth.errors import AuthSessionMissing, ConfigurationError, ServerUnavailable
from async_auth.integrations.sqlalchemy import hosts_of, use_tokens

#: SQLAlchemy 2.0 wraps what happens to a connection, but not what happens while it is opened.
REFUSED = (DBAPIError, asyncpg.InvalidPasswordError)


@pytest.fixture
async def open_engine(database):
    """Return a function that makes an engine; it is disposed of after the test."""
    engines = []

    def start(manager, url=None, **options):
        engine = create_async_engine(f"postgresql+asyncpg://{url or database.url}", **options)
        engines.append(engine)
        use_tokens(engine, manager)
        return engine

    yield start
    for engine in engines:
        await engine.dispose()


async def who(engine):
    """Return as whom the database knows a connection of the pool."""
    async with engine.connect() as connection:
        return await connection.scalar(text("SELECT current_user"))


async def test_a_pool_outlives_a_token(stage, client, database, open_engine):
    """Each new connection has the token of its moment; one that is open stays open."""
    engine = open_engine(client)
    async with engine.connect() as first:
        await stage.clock.advance(3600)
        await database.accept((await client.get_token()).value)
        assert "ada" == await who(engine)
        assert "ada" == await first.scalar(text("SELECT current_user"))

    assert 2 == engine.pool.checkedin()


async def test_a_refused_login_is_tried_again(stage, client, database, open_engine, accepting):
    """With a token that was refreshed for it."""
    engine = open_engine(accepting)
    await database.expire()

    assert "ada" == await who(engine)
    assert 1 == stage.refreshes


async def test_a_refusal_of_the_new_token_is_raised(stage, client, database, open_engine):
    """One refresh for one login; what is raised has no token in it."""
    await database.expire()

    with pytest.raises(REFUSED, match="authentication failed") as caught:
        await who(open_engine(client))
    assert 1 == stage.refreshes
    assert client.session.access_token not in str(caught.value)


async def test_a_pinned_token_is_not_replaced(stage, client, open_engine):
    """Nobody can refresh it."""
    client.set_auth("pinned")

    with pytest.raises(REFUSED, match="authentication failed"):
        await who(open_engine(client))
    assert 0 == stage.refreshes


async def test_an_outage_of_the_auth_server(stage, client, database, open_engine, outage):
    """A good token logs in; a refusal is the answer; without a token nobody connects."""
    outage()
    assert "ada" == await who(open_engine(client))

    await database.expire()
    with pytest.raises(REFUSED, match="authentication failed"):
        await who(open_engine(client))
    await stage.clock.advance(3600)
    with pytest.raises(ServerUnavailable):
        await who(open_engine(client))


async def test_nobody_is_signed_in(stage, open_engine):
    """Connecting raises what `get_token` raises."""
    with pytest.raises(AuthSessionMissing):
        await who(open_engine(await stage.client()))


async def test_no_token_travels_in_the_clear(client, open_engine):
    """It is refused when a connection is opened, before a token is asked for."""
    with pytest.raises(ConfigurationError, match=r"^ssl: db\.example\.com could receive"):
        await who(open_engine(client, "ada@db.example.com/postgres"))
    # By the driver's own word for it the connection is tried.
    with pytest.raises(OSError, match="rejected SSL upgrade"):
        await who(open_engine(client, connect_args={"ssl": "require"}))


def test_an_engine_that_is_not_async_is_refused():
    """It could not wait for a token."""
    with pytest.raises(ConfigurationError, match=r"^engine: "):
        use_tokens(create_engine("sqlite://"), None)


@pytest.mark.parametrize(
    "cparams,host,environment,expected",
    [
        ({}, None, {"PGHOST": "e"}, ["e"]),
        ({"host": "h"}, "h", {"PGHOST": "e"}, ["h"]),
        ({"host": "h1,h2"}, None, {}, ["h1", "h2"]),
        ({"host": ["h1", "h2"]}, None, {}, ["h1", "h2"]),
        ({"host": ""}, None, {"PGHOST": "e"}, ["e"]),
        ({"host": "localhost", "hostaddr": "h"}, None, {}, ["localhost", "h"]),
        ({"host": "localhost"}, None, {"PGHOSTADDR": "h"}, ["localhost", "h"]),
        ({"service": "prod"}, None, {"PGHOST": "e"}, ["service prod", "e"]),
        ({}, None, {"PGSERVICE": "prod"}, ["service prod"]),
        ({"dsn": "(DESCRIPTION=…)"}, "h", {}, ["h"]),
    ],
)
def test_where_a_driver_connects_to(cparams, host, environment, expected):
    """PostgreSQL's drivers look at the environment too; what one does not say, the URL does."""
    assert expected == hosts_of(cparams, "postgresql", host, environment)


def test_other_drivers_have_an_environment_of_their_own():
    """PostgreSQL's variables mean nothing to them."""
    environment = dict.fromkeys(["PGHOST", "PGHOSTADDR", "PGSERVICE"], "e")

    assert [] == hosts_of({}, "mysql", None, environment)
