"""gotrue/elsewhere.py and gotrue/pkce.py: browsers, companies, wallets, and the flows between."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from async_auth import ApiError, ConfigurationError, ProtocolError, SignInRequired, StoreError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.pkce import PkceFlow, PkceRing
from async_auth.ports import Record
from async_auth.stores import FileStore, MemoryStore
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
WRONG = (400, {"code": "bad_code_verifier", "message": "code challenge does not match"})


def scripted(*answers, **options):
    """Return a client whose server gives these answers, and its transport."""
    transport = ScriptedTransport(*answers)
    options = {"auto_refresh": False, **options}
    return GoTrueClient(URL, transport=transport, **options), transport


def verifiers(wire):
    """Return the verifiers that the server was shown."""
    return [json.loads(request.body)["code_verifier"] for request in wire.requests]


def challenge_in(url):
    """Return the challenge in an address."""
    (challenge,) = parse_qs(urlsplit(url).query)["code_challenge"]
    return challenge


class BrokenStore(MemoryStore):
    """A store that does not work."""

    async def load(self, key):
        """Fail, as a stranger's code does."""
        raise OSError("gone")


async def test_a_browser_is_sent_to_the_provider():
    """Nothing is sent; the address says everything, ours last."""
    client, wire = scripted()
    async with client:
        response = await client.sign_in_with_oauth(
            "github",
            redirect_to="https://app.example.com/cb?a=1",
            scopes="repo gist",
            query_params={"login_hint": "ann", "provider": "evil"},
        )
    query = parse_qs(urlsplit(response.url).query)
    assert [] == wire.requests
    assert response.url.startswith(f"{URL}/authorize?")
    assert {
        "login_hint": ["ann"],
        "provider": ["github"],
        "redirect_to": ["https://app.example.com/cb?a=1"],
        "scopes": ["repo gist"],
        "code_challenge": query["code_challenge"],
        "code_challenge_method": ["s256"],
    } == query
    assert ("github", True) == (response.provider, bool(response.flow_id))


async def test_the_implicit_flow_has_no_challenge():
    """The browser brings the tokens themselves."""
    client, _ = scripted(flow="implicit")
    async with client:
        response = await client.sign_in_with_oauth("github")
    assert (f"{URL}/authorize?provider=github", None) == (response.url, response.flow_id)


@pytest.mark.parametrize(
    "arguments", [{"provider": ""}, {"provider": "x", "query_params": {"a": 1}}]
)
async def test_a_wrong_argument_is_named(arguments):
    """Before a flow is begun or anything is sent."""
    client, _ = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match=list(arguments)[-1]):
            await client.sign_in_with_oauth(**arguments)


async def test_the_code_is_exchanged_with_its_verifier(stage, recordings):
    """The flow's own verifier goes out, the session is current, and the flow is gone."""
    wire = ScriptedTransport(recordings["token_pkce_oauth"].response)
    store = MemoryStore()
    client = await stage.client(transport=wire, store=store)
    events = await stage.record(client)
    begun = await client.sign_in_with_oauth("keycloak")
    response = await client.exchange_code_for_session("c0de", flow_id=begun.flow_id)
    body = json.loads(wire.requests[0].body)
    assert "grant_type=pkce" in wire.requests[0].url
    assert "c0de" == body["auth_code"]
    flow = PkceFlow(id="x", verifier=body["code_verifier"])
    assert challenge_in(begun.url) == flow.challenge
    assert response.session is client.session
    assert "provider_token" in response.session.extra
    assert response.session == (await events.wait_for("SIGNED_IN")).session
    assert [] == (await store.load("default.pkce")).session["flows"]


async def test_a_recovery_link_is_told_as_one(stage, recordings):
    """The flow knows what it was begun for."""
    wire = ScriptedTransport((200, {}), recordings["token_pkce"].response)
    client = await stage.client(transport=wire)
    events = await stage.record(client)
    await client.reset_password_for_email("ann@example.com")
    await client.exchange_code_for_session("c0de")
    await events.wait_for("PASSWORD_RECOVERY")
    assert ["INITIAL_SESSION", "PASSWORD_RECOVERY"] == events.names


async def test_without_an_id_the_newest_flows_are_tried_first(recordings):
    """A wrong verifier does not spend the code."""
    client, wire = scripted(WRONG, WRONG, recordings["token_pkce"].response)
    async with client:
        begun = [(await client.sign_in_with_oauth("x")).url for _ in range(4)]
        await client.exchange_code_for_session("c0de")
    shown = [PkceFlow(id="", verifier=verifier).challenge for verifier in verifiers(wire)]
    assert [challenge_in(url) for url in (begun[3], begun[2], begun[1])] == shown


async def test_a_code_that_fits_no_flow_is_refused():
    """The server's word, after the last one."""
    client, wire = scripted(WRONG, WRONG)
    async with client:
        for _ in range(2):
            await client.sign_in_with_oauth("x")
        with pytest.raises(ApiError) as caught:
            await client.exchange_code_for_session("c0de")
    assert ("bad_code_verifier", 2) == (caught.value.code, len(wire.requests))


async def test_another_refusal_ends_the_trying():
    """The code itself is no good; the flow may still see its own."""
    store = MemoryStore()
    refusal = (404, {"code": "flow_state_not_found", "message": "no"})
    client, wire = scripted(refusal, store=store)
    async with client:
        begun = await client.sign_in_with_oauth("x")
        await client.sign_in_with_oauth("x")
        with pytest.raises(ApiError) as caught:
            await client.exchange_code_for_session("c0de", flow_id=begun.flow_id)
        assert "flow_state_not_found" == caught.value.code
    assert 2 == len((await store.load("default.pkce")).session["flows"])
    assert 1 == len(wire.requests)


@pytest.mark.parametrize("flow_id", [None, "another"])
async def test_a_code_without_a_flow_is_not_sent(flow_id):
    """Whoever has no verifier has to begin anew."""
    client, wire = scripted()
    async with client:
        if flow_id:
            await client.sign_in_with_oauth("x")
        with pytest.raises(SignInRequired) as caught:
            await client.exchange_code_for_session("c0de", flow_id=flow_id)
    assert "pkce_code_verifier_not_found" == caught.value.code
    assert [] == wire.requests


async def test_another_process_finishes_the_flow(tmp_path, recordings):
    """The verifier is found in the store that both have."""
    one, _ = scripted(store=FileStore(tmp_path))
    other, wire = scripted(recordings["token_pkce"].response, store=FileStore(tmp_path))
    async with one, other:
        begun = await one.sign_in_with_oauth("x")
        await other.exchange_code_for_session("c0de", flow_id=begun.flow_id)
    (verifier,) = verifiers(wire)
    assert challenge_in(begun.url) == PkceFlow(id="", verifier=verifier).challenge


async def test_the_ring_holds_five():
    """The oldest goes, here and in the store."""
    store = MemoryStore()
    ring = PkceRing(store, "k")
    flows = [await ring.begin() for _ in range(6)]
    assert tuple(flows[1:]) == await ring.waiting()
    assert tuple(flows[1:]) == await PkceRing(store, "k").waiting()


async def test_a_broken_store_costs_only_the_others(caplog):
    """The flow is finished where it was begun; the trouble is logged without the verifier."""
    ring = PkceRing(BrokenStore(), "k")
    flow = await ring.begin(recovery=True)
    assert (flow,) == await ring.waiting()
    assert "cannot be stored" in caplog.text
    assert flow.verifier not in caplog.text
    await ring.end(flow)
    with pytest.raises(StoreError):
        await ring.waiting()


async def test_what_cannot_be_read_is_passed_over():
    """Records of other releases, and damaged ones, cost no flow of ours."""
    store = MemoryStore()
    good = {"id": "g", "verifier": "v", "recovery": True, "new": 1}
    flows = [good, None, {"id": 1, "verifier": "v"}, {"id": "x"}, {"id": "x", "verifier": "é"}]
    await store.save(
        "k.pkce", Record(generation=7, sign_in_id="", session={"flows": flows}), expected=None
    )
    ring = PkceRing(store, "k")
    assert (PkceFlow(id="g", verifier="v", recovery=True),) == await ring.waiting()
    await ring.begin()
    assert 8 == (await store.load("k.pkce")).generation


async def test_two_clients_begin_at_once():
    """A conflict is resolved by trying again."""

    class Beaten(MemoryStore):
        """Another writer is faster, once."""

        beaten = False

        async def save(self, key, record, *, expected):
            """Let the other one write first."""
            if not self.beaten:
                self.beaten = True
                await PkceRing(self, "k").begin()
            await super().save(key, record, expected=expected)

    ring = PkceRing(Beaten(), "k")
    await ring.begin()
    assert 2 == len(await ring.waiting())


def test_a_challenge_is_the_standards():
    """RFC 7636, appendix B."""
    flow = PkceFlow(id="x", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" == flow.challenge
    assert "dBjft" not in repr(flow)
    assert 64 == len(PkceFlow.new().verifier)


async def test_sso_gives_the_address():
    """The server names it."""
    client, wire = scripted((200, {"url": "https://idp.example.com/saml"}))
    async with client:
        response = await client.sign_in_with_sso(provider_id="p1", redirect_to="https://app.test")
    body = json.loads(wire.requests[0].body)
    assert ("https://idp.example.com/saml", True) == (response.url, bool(response.flow_id))
    assert ("p1", "https://app.test", True) == (
        body["provider_id"],
        body["redirect_to"],
        body["skip_http_redirect"],
    )


@pytest.mark.parametrize("answer", [{}, {"url": 5}, {"url": ""}])
async def test_an_answer_without_an_address_is_none(answer):
    """There is nowhere to go."""
    client, _ = scripted((200, answer))
    async with client:
        with pytest.raises(ProtocolError, match="url"):
            await client.sign_in_with_sso(domain="example.com")


@pytest.mark.parametrize("arguments", [{}, {"domain": "a", "provider_id": "b"}])
async def test_sso_needs_one_of_two(arguments):
    """A domain or an id."""
    client, _ = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match="domain or provider_id"):
            await client.sign_in_with_sso(**arguments)


async def test_an_unknown_chain_is_not_sent():
    """The server knows two."""
    client, _ = scripted()
    async with client:
        with pytest.raises(ConfigurationError, match="chain"):
            await client.sign_in_with_web3(chain="bitcoin", message="m", signature="s")
