"""What every client takes from its manager."""

from __future__ import annotations

from async_auth.engine.facade import Facade


class Client(Facade):
    """A client of nobody's."""


async def test_a_client_is_shown_as_its_manager_is(make_manager):
    """Under its own name, once; what else there is stays."""
    manager = make_manager(key="SessionManager")

    expected = repr(manager).replace("<SessionManager", "<Client")
    assert expected == repr(Client(manager))
    assert "'SessionManager'" in expected


async def test_a_client_signs_in_once_by_its_manager(make_manager, server):
    """With the function that it was given."""
    manager = make_manager()
    client = Client(manager)

    async def sign_in():
        return await manager.adopt(server.sign_in())

    found = await client.sign_in_once(sign_in)
    assert found is not None
    assert manager.session == found
