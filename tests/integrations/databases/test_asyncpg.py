"""`Connect` of asyncpg, with a real PostgreSQL and a real auth server."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from async_auth.errors import AuthSessionMissing, ConfigurationError, ServerUnavailable
from async_auth.integrations.asyncpg import Connect, destination
from async_auth.integrations.passwords import password


async def who(connection):
    """Return as whom the database knows a connection, and close it."""
    try:
        return await connection.fetchval("SELECT current_user")
    finally:
        await connection.close()


@pytest.fixture
def dsn(database):
    """Return where the role connects."""
    return f"postgresql://{database.url}"


async def test_a_connection_logs_in_with_the_token(client, dsn):
    """Whatever password is in the DSN."""
    assert "ada" == await who(await Connect(client)(dsn))
    assert "ada" == await who(await Connect(client)(dsn.replace("@", ":mine@"), password="mine"))


async def test_a_pool_outlives_a_token(stage, client, database, dsn):
    """Each new connection has the token of its moment; one that is open stays open."""
    async with (
        asyncpg.create_pool(dsn, connect=Connect(client), min_size=0) as pool,
        pool.acquire() as first,
    ):
        await stage.clock.advance(3600)
        await database.accept((await client.get_token()).value)
        async with pool.acquire() as second:
            users = [await each.fetchval("SELECT current_user") for each in (first, second)]

    assert ["ada", "ada"] == users


async def test_the_callable_alone(stage, client, database, dsn):
    """`password=` takes an async callable, for pools of any version."""
    token = password(client)
    assert "ada" == await who(await asyncpg.connect(dsn, password=token))

    await stage.clock.advance(3600)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsn, password=token)
    await database.accept(client.session.access_token)
    assert "ada" == await who(await asyncpg.connect(dsn, password=token))


async def test_a_refused_login_is_tried_again(stage, accepting, database, dsn):
    """With a token that was refreshed for it."""
    await database.expire()

    assert "ada" == await who(await Connect(accepting)(dsn))
    assert 1 == stage.refreshes


async def test_ten_refused_logins_cost_one_refresh(stage, accepting, database, dsn):
    """Whoever comes late takes what is there."""
    connect = Connect(accepting)
    await database.expire()

    users = await asyncio.gather(*(login(connect, dsn) for _ in range(10)))
    assert (["ada"] * 10, 1) == (users, stage.refreshes)


async def login(connect, dsn):
    """Connect, and say as whom."""
    return await who(await connect(dsn))


async def test_a_refusal_of_the_new_token_is_raised(stage, client, database, dsn):
    """One refresh for one login."""
    await database.expire()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await Connect(client)(dsn)
    assert 1 == stage.refreshes


async def test_a_pinned_token_is_not_replaced(stage, client, dsn):
    """Nobody can refresh it."""
    client.set_auth("pinned")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await Connect(client)(dsn)
    assert 0 == stage.refreshes


async def test_another_failure_is_raised(stage, client, dsn):
    """It says nothing against the token."""
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await Connect(client)(dsn.replace("/postgres", "/nothing"))
    assert 0 == stage.refreshes


async def test_an_outage_of_the_auth_server(stage, client, database, dsn, outage):
    """A good token logs in; a refusal is the answer; without a token nobody connects."""
    outage()
    assert "ada" == await who(await Connect(client)(dsn))

    await database.expire()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await Connect(client)(dsn)
    await stage.clock.advance(3600)
    with pytest.raises(ServerUnavailable):
        await Connect(client)(dsn)


async def test_nobody_is_signed_in(stage, dsn):
    """Connecting raises what `get_token` raises."""
    with pytest.raises(AuthSessionMissing):
        await Connect(await stage.client())(dsn)


async def test_no_token_travels_in_the_clear(client, dsn):
    """It is refused before a token is asked for; asyncpg's own default would allow it."""
    with pytest.raises(ConfigurationError, match=r"^ssl: db\.example\.com:1 could receive"):
        await Connect(client)("postgresql://ada@db.example.com:1/postgres")
    # An address that is no loopback one, but leads here.
    elsewhere = dsn.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - nobody listens there
    with pytest.raises(ConfigurationError, match=r"^ssl: "):
        await Connect(client)(elsewhere)
    assert "ada" == await who(await Connect(client, allow_insecure=True)(elsewhere))


@pytest.mark.parametrize(
    "dsn,options,environment,expected",
    [
        (None, {}, {}, ([], None)),
        ("postgresql://u@h:1/d", {}, {"PGHOST": "e"}, (["h:1"], None)),
        ("postgresql://u:p%40@h1:1,h2/d?sslmode=require", {}, {}, (["h1:1", "h2"], "require")),
        ("postgresql://u@%2Frun%2Fpg/d", {}, {}, (["/run/pg"], None)),
        ("postgresql:///d?host=h", {}, {}, (["h"], None)),
        # To asyncpg this is a setting of the server, and says nothing of the connection.
        ("postgresql://u@h/d?ssl=true", {}, {}, (["h"], None)),
        ("postgresql://u@h/d", {"host": ""}, {}, (["h"], None)),
        ("postgresql://u@h/d", {"host": "k", "ssl": True}, {}, (["k"], True)),
        ("postgresql://u@h/d?sslmode=require", {"ssl": False}, {}, (["h"], False)),
        (None, {"host": ["h1", "h2"]}, {"PGSSLMODE": "verify-full"}, (["h1", "h2"], "verify-full")),
        (None, {}, {"PGHOST": "e"}, (["e"], None)),
        ("postgresql://?service=prod", {}, {}, (["service prod"], None)),
        (None, {"service": "prod"}, {}, (["service prod"], None)),
        (None, {"service": "prod"}, {"PGHOST": "localhost"}, (["service prod"], None)),
        (None, {}, {"PGSERVICE": "prod", "PGHOST": "e"}, (["e"], None)),
    ],
)
def test_where_asyncpg_would_connect_to(dsn, options, environment, expected):
    """An argument comes before the DSN, and that before the environment."""
    assert expected == destination(dsn, options, environment)
