"""The embedded core's answers beside all those that were recorded from real cores.

The recordings stand for themselves, but a session does not: a refresh token that one exchange
hands out is spent in another. So they are replayed in scenes, each on a core of its own, in the
order in which they were made. `Stage` keeps which of our tokens, handles, hashes and keys stands
for which recorded one: it learns them where an answer is compared, puts them into later requests,
and fails if one of ours stands for two of theirs or the other way round. What happened between
the recorded exchanges without being recorded is a step of the scene too (`Begin`, `Spend`, `Put`).

The clock is put to the very millisecond of each exchange and the jitter is drawn as it was, so
times are compared as they are, like everything else: status, content type, caching, fields and
their order, texts, and header and claims of access tokens. Of what is drawn at random the shape is
compared, and that it is the same wherever it should be.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

from async_auth.core import jwt
from async_auth.testing import ManualClock, SuperTokensCoreServer

RECORDINGS = {
    recording["name"]: recording
    for recording in json.loads(
        (Path(__file__).parent.parent / "recordings" / "supertokens.json").read_text("utf-8")
    )
    if recording["server"] in ("core", "core with CDI 5.6")
}

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
REFRESH_TOKEN = r"[A-Za-z0-9+/]{200,}={0,2}\.[0-9a-f]{64}\.V2"
#: What no two servers have alike.
DRAWN = {
    "uuid": re.compile(UUID),
    "static kid": re.compile(f"s-{UUID}"),
    "hash": re.compile(r"[0-9a-f]{64}"),
    "refresh token": re.compile(REFRESH_TOKEN),
    "modulus": re.compile(r"[A-Za-z0-9_-]{342}"),
    "public key": re.compile(r"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A[A-Za-z0-9+/]{359}B"),
}
JWT = re.compile(r"eyJ[\w=-]+\.eyJ[\w=-]+\.[\w+/=-]+", re.ASCII)


@attrs.frozen
class Play:
    """Replay a recorded exchange, *at* its own time or the one given."""

    name: str
    at: float | None = None


@attrs.frozen
class Begin:
    """Begin a session that was not recorded: the one whose refresh token *name* spends."""

    name: str
    at: float


@attrs.frozen
class Spend:
    """Spend a refresh token; the new one stands for the one that *child* spends, if given."""

    token_of: str
    version: str
    child: str | None = None


@attrs.frozen
class Put:
    """Change the data of a recorded session."""

    handle: str
    data: Mapping[str, Any]


Step = Play | Begin | Spend | Put


@attrs.frozen(kw_only=True)
class Scene:
    """A core as it was started, and what was done with it."""

    starts_at: float
    options: Mapping[str, Any]
    steps: Sequence[Step]


def plays(*names: str) -> list[Play]:
    """Replay these, each at its own time."""
    return [Play(name) for name in names]


VERSIONS = RECORDINGS["core apiversion"]["response"]["json"]["versions"]

SCENES = {
    "core": Scene(
        starts_at=1_795_252_514.370,
        options={"cdi_versions": VERSIONS},
        steps=[
            *plays(
                "core hello",
                "core apiversion",
                "core create session",
                "core create session enableAntiCsrf",
                "core verify fresh token",
                "core verify fresh token checkDatabase",
                "core verify anti-csrf missing",
                "core verify anti-csrf right",
                "core verify tampered signature",
                "core get session",
                "core get session unknown handle",
                "core put session data unknown",
                "core put jwt data",
                "core regenerate",
                "core regenerate unknown token",
                "core refresh r1 first",
                "core refresh r1 again before r2 used",
            ),
            Play("core verify a2 (commits the rotation; new access token)", 1_795_252_603.789),
            Put("176a3e1e-e0b6-4c3a-ac5b-13cbc23fe4f5", {"k": "v2"}),
            *plays(
                "core verify sibling a2b after a2 committed",
                "core verify old a1 after rotation",
                "core refresh r1 after a2 was used = theft",
                "core refresh sibling r2b after r2 committed = theft",
                "core session still exists after theft",
                "core refresh r2 after theft was reported",
                "core remove by handle (what the SDK does on theft)",
                "core refresh r2 after removal",
                "core verify a2 after removal, no database check",
                "core verify a2 after removal, checkDatabase",
                "core remove again",
                "core create session for chain",
                "core chain r1->r2",
                "core chain r2->r3",
                "core chain r1 again = theft",
                "core chain r2 again (parent of unused r3) OK",
                "core remove all of user",
                "core refresh garbage",
                "core refresh missing field",
                "core refresh no body",
                "core unsupported cdi-version",
                "core wrong rid",
                "core no rid",
                "core unknown path",
                "core jwks",
                "core recipe jwt jwks",
                "core handshake cdi 2.20",
                "core handshake cdi 5.4",
                "core create session static key",
                "core create session cdi 2.20 (v2 token)",
                "core create session cdi 2.21 (v3 token)",
            ),
        ],
    ),
    "core with API keys": Scene(
        starts_at=1_795_252_600.368,
        options={
            "cdi_versions": VERSIONS,
            "access_token_validity": 60,
            "api_keys": ["throwaway-api-key-1234567890"],
        },
        steps=plays(
            "core with api_keys: no key",
            "core with api_keys: right key",
            "core with api_keys: hello without key",
            "core with api_keys: jwks without key",
        ),
    ),
    "core with tokens of 2 and 6 seconds": Scene(
        starts_at=1_795_252_592.847,
        options={
            "cdi_versions": VERSIONS,
            "access_token_validity": 2,
            "refresh_token_validity": 6,
        },
        steps=[
            Play("core(2s/6s) create"),
            Play("core(2s/6s) verify expired access token", 1_795_252_607.0),
            Play("core(2s/6s) regenerate with expired access token"),
            Play("core(2s/6s) refresh after refresh expiry", 1_795_252_611.0),
        ],
    ),
    "core with CDI 5.6": Scene(
        starts_at=1_795_253_117.615,
        options={"access_token_jitter": 0.05, "grace": 2},
        steps=[
            Begin("cdi5.6 refresh r1->r2", 1_795_253_121.0),
            *plays(
                "cdi5.6 refresh r1->r2",
                "cdi5.6 verify a2 (no new token, no write)",
                "cdi5.6 verify a2 checkDatabase",
            ),
            Spend(
                "cdi5.6 refresh r1->r2",
                "5.6",
                "cdi5.6 refresh r2' after that: session revoked by core itself",
            ),
            *plays(
                "cdi5.6 verify displaced a2 checkDatabase",
                "cdi5.6 refresh displaced r2 = ORPHANED_BRANCH theft",
                "cdi5.6 refresh r2' after that: session revoked by core itself",
            ),
            Begin("cdi5.6 refresh r1->r2 (b)", 1_795_253_121.1),
            Play("cdi5.6 refresh r1->r2 (b)"),
            Play(
                "cdi5.6 refresh r1 after grace = RECENT_PREV theft (even if r2 unused)",
                1_795_253_124.0,
            ),
            Begin("cdi5.6 chain r1->r2", 1_795_253_124.5),
            Play("cdi5.6 chain r1->r2"),
            Spend("answer: cdi5.6 chain r1->r2", "5.6"),
            *plays(
                "cdi5.6 chain r1 again in grace = STALE_LINEAGE theft",
                "cdi5.6 create",
                "cdi5.6 refresh with accessTokenValidity",
                "cdi5.6 create accessTokenValidity too long",
                "cdi5.6 cdi 5.4 on the same core: create",
                "cdi5.6 cdi 5.4 refresh r1",
            ),
            Spend(
                "cdi5.6 cdi 5.4 refresh r1",
                "5.4",
                "cdi5.6 cdi 5.4 refresh child 2 = theft (no subtype)",
            ),
            *plays(
                "cdi5.6 cdi 5.4 refresh child 1",
                "cdi5.6 cdi 5.4 refresh child 2 = theft (no subtype)",
            ),
        ],
    ),
}


def recorded_token(place: str) -> str:
    """Return the refresh token that a recorded request spends, or that an answer hands out."""
    name = place.removeprefix("answer: ")
    if name == place:
        return RECORDINGS[name]["request"]["json"]["refreshToken"]
    return RECORDINGS[name]["response"]["json"]["refreshToken"]["token"]


def segments(token: str) -> list[Any]:
    """Return a JWT's header and claims; version 2 is in the other alphabet."""
    return [
        json.loads(base64.b64decode(part.rstrip("=") + "=" * (-len(part.rstrip("=")) % 4), b"-_"))
        for part in token.split(".")[:2]
    ]


@attrs.define
class Stage:
    """A core, its clock, and what of ours stands for what of theirs."""

    core: SuperTokensCoreServer
    clock: ManualClock
    http: aiohttp.ClientSession
    ours: dict[str, str] = attrs.field(factory=dict)
    theirs: dict[str, str] = attrs.field(factory=dict)

    def learn(self, recorded: str, ours: str) -> None:
        """Remember a pair, and that it is the only one with either."""
        assert ours == self.ours.setdefault(recorded, ours)
        assert recorded == self.theirs.setdefault(ours, recorded)
        if re.fullmatch(REFRESH_TOKEN, recorded):
            hashes = [hashlib.sha256(token.encode()).hexdigest() for token in (recorded, ours)]
            self.learn(*hashes)

    def translate(self, value: Any) -> Any:
        """Return a recorded request's value with what is ours in it."""
        if isinstance(value, dict):
            return {name: self.translate(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.translate(member) for member in value]
        if not isinstance(value, str) or value in self.ours:
            return self.ours.get(value, value)
        if JWT.fullmatch(value):
            # A token that nobody handed out: one that was, with another signature.
            content, _, _ = value.rpartition(".")
            good = next(ours for known, ours in self.ours.items() if known.startswith(content))
            signed, _, signature = good.rpartition(".")
            return f"{signed}.{signature[::-1]}"
        return value

    def compare(self, recorded: Any, ours: Any) -> None:
        """Fail unless our value may stand in the place of the recorded one."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            assert list(recorded) == list(ours)
            for name, member in recorded.items():
                self.compare(member, ours[name])
        elif isinstance(recorded, list) and isinstance(ours, list):
            assert len(recorded) == len(ours)
            for one, other in zip(recorded, ours, strict=True):
                self.compare(one, other)
        elif not isinstance(recorded, str) or not isinstance(ours, str):
            assert recorded == ours
        elif JWT.fullmatch(recorded):
            self.compare(segments(recorded), segments(ours))
            self.check_signature(ours)
            self.learn(recorded, ours)
        else:
            kinds = [name for name, form in DRAWN.items() if form.fullmatch(recorded)]
            if not kinds:
                assert recorded == ours
            else:
                assert kinds == [name for name, form in DRAWN.items() if form.fullmatch(ours)]
                self.learn(recorded, ours)

    def check_signature(self, token: str) -> None:
        """Verify one of our tokens by the published keys, where it is a JWT as others have it."""
        if segments(token)[0]["version"] != "2":
            jwt.verify(token, self.core.jwks(), algorithms=["RS256"], now=self.clock.now())

    async def ask(self, request: Mapping[str, Any]) -> tuple[int, Mapping[str, str], Any]:
        """Make a request and return the answer's status, headers and value."""
        path = request["path"]
        for recorded, ours in self.ours.items():
            path = path.replace(recorded, ours)
        body = request["json"]
        async with self.http.request(
            request["method"],
            URL(f"{self.core.url}{path}", encoded=True),
            headers=request["headers"],
            data=None if body is None else json.dumps(self.translate(body)).encode(),
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, response.headers, json.loads(text) if is_json else text

    async def post(self, path: str, body: Mapping[str, Any], version: str) -> Any:
        """Make a request of which nothing was recorded."""
        headers = {"cdi-version": version}
        request = {"method": "POST", "path": path, "headers": headers, "json": body}
        status, _, answer = await self.ask(request)
        assert (200, "OK") == (status, answer["status"])
        return answer

    async def go_to(self, at: float) -> None:
        """Let it be *at*, unix seconds."""
        await self.clock.advance_to(at)

    async def play(self, step: Play, jitter: list[float]) -> None:
        """Replay an exchange and compare the answer."""
        recording = RECORDINGS[step.name]
        wanted = recording["response"]
        body = wanted["json"]
        pair = body if isinstance(body, dict) and "refreshToken" in body else None
        if pair is not None:
            await self.go_to(pair["refreshToken"]["createdTime"] / 1000)
            jitter[:] = [drawn_jitter(pair)]
        elif step.at is not None:
            await self.go_to(step.at)

        status, headers, answer = await self.ask(recording["request"])

        assert (step.name, wanted["status"]) == (step.name, status)
        # Whatever else real cores send is their web server's.
        named = ("content-type", "cache-control")
        said = {name: headers[name] for name in named if name in headers}
        assert dict(sorted(wanted["headers"].items())) == dict(sorted(said.items()))
        self.compare(body, answer)

    async def step(self, step: Step, jitter: list[float]) -> None:
        """Do one thing."""
        match step:
            case Play():
                await self.play(step, jitter)
            case Begin(name, at):
                await self.go_to(at)
                body = {
                    "userId": "u56",
                    "userDataInJWT": {},
                    "userDataInDatabase": {},
                    "enableAntiCsrf": False,
                }
                answer = await self.post("/recipe/session", body, "5.6")
                self.learn(recorded_token(name), answer["refreshToken"]["token"])
            case Spend(token_of, version, child):
                body = {
                    "refreshToken": recorded_token(token_of),
                    "enableAntiCsrf": False,
                    "useDynamicSigningKey": True,
                }
                answer = await self.post("/recipe/session/refresh", body, version)
                if child is not None:
                    self.learn(recorded_token(child), answer["refreshToken"]["token"])
            case Put(handle, data):
                request = {
                    "method": "PUT",
                    "path": "/recipe/session/data",
                    "headers": {"cdi-version": "5.4"},
                    "json": {"sessionHandle": handle, "userDataInDatabase": data},
                }
                assert (200, {"status": "OK"}) == (await self.ask(request))[::2]


def drawn_jitter(pair: Mapping[str, Any]) -> float:
    """Return what the real core must have drawn, for 3600 seconds shortened by up to 5 %."""
    made = pair["refreshToken"]["createdTime"] / 1000
    life = pair["accessToken"]["expiry"] / 1000 + 0.5 - made
    return min(max((1 - life / 3600) / 0.05, 0.0), 1.0)


@pytest.mark.parametrize("name", SCENES)
async def test_the_core_answers_as_real_ones_did(name, make_key):
    """In every scene each exchange has the recorded status, fields, texts, claims and times."""
    scene = SCENES[name]
    clock, jitter = ManualClock(scene.starts_at), [0.0]
    options = {"random": lambda: jitter[0], **scene.options}
    async with (
        SuperTokensCoreServer(clock=clock, make_key=make_key, **options) as core,
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as http,
    ):
        stage = Stage(core, clock, http)
        for step in scene.steps:
            await stage.step(step, jitter)


def test_every_recording_is_claimed():
    """All 74 recorded exchanges with a core are replayed, each once."""
    played = [
        step.name for scene in SCENES.values() for step in scene.steps if isinstance(step, Play)
    ]

    assert sorted(RECORDINGS) == sorted(played)
    assert 74 == len(played)
