"""The application beside SuperTokens' own back end: each recorded exchange has the same answer.

The exchanges are replayed in the order in which they were made, on embedded cores whose clocks
are put to the second of each. `Stage` keeps which of our tokens, handles, hashes and keys stands
for which recorded one: it learns them where an answer is compared, puts them into later requests,
and fails if one of ours stands for two of theirs or the other way round. What happened without
being recorded (`Begin`, `Refresh`), and what was done to the cores, are steps too.

Of what is drawn at random the shape is compared; everything else is compared as it is: status,
body, the claims of every token, front tokens, cookies with their attributes and expiries. What a
framework itself says of paths that it does not know is the framework's. The differences that are
wanted are in `DIFFERENCES`, and in `expected_lines` and `expected_exposed`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs

from async_auth.core.jwt import peek
from async_auth.testing import ManualClock

RECORDINGS = {
    recording["name"]: recording
    for recording in json.loads(
        (Path(__file__).parents[2] / "recordings" / "supertokens.json").read_text("utf-8")
    )
    if recording["server"].startswith("app:")
}
VERSIONS = ["2.21", "3.0", "3.1", "4.0", "5.0", "5.1", "5.2", "5.3", "5.4"]
#: The cores behind the recorded applications: when they were started, and their options.
CORES = {
    "first": (1_795_252_514.370, {}),
    "short": (
        1_795_252_592.847,
        {"access_token_validity": 2, "refresh_token_validity": 6},
    ),
    "unsteady": (1_795_252_960.744, {"access_token_validity": 60}),
}
#: By recorded application: its core, and its own options.
APPLICATIONS = {
    "app:3001": ("first", {"anti_csrf": "VIA_TOKEN"}),
    "app:3002": ("first", {"anti_csrf": "VIA_CUSTOM_HEADER"}),
    "app:3003": ("first", {"anti_csrf": "NONE"}),
    "app:3004": ("short", {}),
    "app:3005": (
        "first",
        {
            "anti_csrf": "VIA_TOKEN",
            "expose_access_token_to_frontend_in_cookie_based_auth": True,
        },
    ),
    "app:3006": ("unsteady", {}),
}
UNAVAILABLE = {"message": "The session service is not available; try again later."}
#: What of an answer is other than recorded, and why that is wanted.
DIFFERENCES: dict[str, dict[str, Any]] = {
    name: {
        "why": "A core that cannot be reached is 503: try again. The official back end says 500.",
        "status": 503,
        "json": UNAVAILABLE,
        "headers": {"content-type": "application/json; charset=utf-8", "retry-after": "5"},
    }
    for name in ("fdi3 core down: refresh", "fdi3 core down: signout")
}
#: The headers that a back end of SuperTokens says something in.
SAID = {
    "access-control-expose-headers",
    "anti-csrf",
    "cache-control",
    "front-token",
    "retry-after",
    "st-access-token",
    "st-refresh-token",
}
OWN_ROUTES = {"/auth/session/refresh", "/auth/signout", "/auth/jwt/jwks.json"}
YEAR = 365 * 24 * 3600

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
REFRESH_TOKEN = r"[A-Za-z0-9+/]{200,}={0,2}\.[0-9a-f]{64}\.V2"
JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", re.ASCII)
#: What no two servers have alike.
DRAWN = {
    "uuid": re.compile(UUID),
    "static kid": re.compile(f"s-{UUID}"),
    "hash": re.compile(r"[0-9a-f]{64}"),
    "refresh token": re.compile(REFRESH_TOKEN),
    "modulus": re.compile(r"[A-Za-z0-9_-]{342}"),
}


@attrs.frozen
class Play:
    """Replay a recorded exchange, when its tokens were made, or *at* a time, or just then."""

    name: str
    at: float | None = None


@attrs.frozen
class Begin:
    """Begin a session that was not recorded: the one of these tokens."""

    server: str
    at: float
    access_of: str
    refresh_of: str


@attrs.frozen
class Refresh:
    """Refresh as it was not recorded, with what *before* holds; brings what *access_of* shows."""

    before: str
    at: float
    access_of: str


@attrs.frozen
class Core:
    """Do something to a core."""

    name: str
    action: str
    at: float
    options: dict[str, Any] = attrs.field(factory=dict)


# The third core was started when the others had long been in use.
STEPS: list[Play | Begin | Refresh | Core] = [
    Core(name, "start", CORES[name][0]) for name in ("first", "short")
]
for name in RECORDINGS:
    at = None
    match name:
        case "fdi header signout":
            after = "fdi header refresh after signout"
            STEPS.append(Begin("app:3001", 1_795_252_726.0, name, after))
        case "fdi cookie(VIA_TOKEN) first use after refresh":
            STEPS.append(Refresh("fdi cookie(VIA_TOKEN) login", 1_795_252_727.0, name))
        case "fdi expired access token header":
            at = 1_795_252_731.0
        case "fdi3 core down: protected":
            STEPS.append(Core("unsteady", "stop", 1_795_252_969.0))
        case "fdi3 core restarted (sessions lost): protected with cached jwks":
            STEPS.append(Core("unsteady", "restart", 1_795_252_973.674, {"lose_memory": True}))
    STEPS.append(Play(name, at))


def claims_of(token: str) -> Any:
    """Return the claims of an access token."""
    return peek(token).claims


def lines_by_name(lines: list[str]) -> dict[str, str]:
    """Return the lines of `Set-Cookie` by the cookies' names, in their order; the last counts."""
    found: dict[str, str] = {}
    for line in lines:
        found.pop(line.partition("=")[0], None)
        found[line.partition("=")[0]] = line
    return found


def expected_lines(wanted: dict[str, Any]) -> dict[str, str]:
    """Return the cookies that are expected: each once, where the official back end says two."""
    return lines_by_name(wanted["headers"].get("set-cookie", []))


def expected_exposed(text: str) -> str:
    """Return the names to expose: each once, where the official back end repeats some."""
    return ",".join(dict.fromkeys(text.split(",")))


def cookie_parts(line: str) -> tuple[str, str, list[str]]:
    """Return a cookie's value, its text as it stands, and its attributes."""
    first, *attributes = line.split("; ")
    text = first.partition("=")[2]
    return unquote(text.strip('"')), text, attributes


def made_at(wanted: dict[str, Any]) -> float | None:
    """Return when a recorded answer's tokens were made, as exactly as it tells."""
    line = lines_by_name(wanted["headers"].get("set-cookie", [])).get("sAccessToken", "")
    token = cookie_parts(line)[0] or wanted["headers"].get("st-access-token")
    if not token:
        return None
    claims = claims_of(token)
    iat = float(claims["iat"])
    if claim := claims.get("x-verified"):
        return claim["t"] / 1000
    if not line:
        return iat
    expires = cookie_parts(line)[2][0].removeprefix("expires=")
    # Written as a whole second, rounded up: the next one means that it was between the two.
    later = parsedate_to_datetime(expires).timestamp() - YEAR > iat
    return iat + 0.5 if later else iat


class Stage:
    """The recorded applications in one framework, and what of ours stands for what of theirs."""

    def __init__(self, start_core, open_place):
        self.clock = ManualClock(1_795_252_500.0)
        self.cores: dict[str, Any] = {}
        self.places: dict[str, Any] = {}
        self.ours: dict[str, str] = {}
        self.theirs: dict[str, str] = {}
        self._start_core, self._open_place = start_core, open_place

    async def place(self, server: str) -> Any:
        """Return an application; it and its core are started when they are first needed."""
        if server not in self.places:
            name, options = APPLICATIONS[server]
            core = await self.core(name)
            address = f"http://127.0.0.1:{server.removeprefix('app:')}"
            self.places[server] = await self._open_place(core=core, place=address, **options)
        return self.places[server]

    async def core(self, name: str) -> Any:
        """Return a core, started at its recorded time if that has not passed."""
        if name not in self.cores:
            starts_at, options = CORES[name]
            await self.go_to(starts_at)
            self.cores[name] = await self._start_core(self.clock, cdi_versions=VERSIONS, **options)
        return self.cores[name]

    async def go_to(self, at: float) -> None:
        """Let it be *at*, unix seconds, if it is not later."""
        if at > self.clock.now():
            await self.clock.advance_to(at)

    def learn(self, recorded: str, ours: str) -> None:
        """Remember a pair, and that it is the only one with either."""
        assert ours == self.ours.setdefault(recorded, ours)
        assert recorded == self.theirs.setdefault(ours, recorded)
        if re.fullmatch(REFRESH_TOKEN, recorded):
            hashes = [hashlib.sha256(token.encode()).hexdigest() for token in (recorded, ours)]
            self.learn(*hashes)

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
            self.compare(peek(recorded).header, peek(ours).header)
            self.compare(claims_of(recorded), claims_of(ours))
            self.learn(recorded, ours)
        else:
            kinds = [name for name, form in DRAWN.items() if form.fullmatch(recorded)]
            if kinds:
                assert kinds == [name for name, form in DRAWN.items() if form.fullmatch(ours)]
                self.learn(recorded, ours)
            else:
                assert self.ours.get(recorded, recorded) == ours

    def translated(self, headers: dict[str, str]) -> dict[str, str]:
        """Return a recorded request's headers with what is ours in them."""
        return {name: self._translated(name, value) for name, value in headers.items()}

    def _translated(self, name: str, value: str) -> str:
        if name == "cookie":
            pairs = [pair.partition("=") for pair in value.split("; ")]
            return "; ".join(f"{cookie}={self._cookie(text)}" for cookie, _, text in pairs)
        scheme, _, token = value.rpartition(" ")
        return f"{scheme} {self._token(token)}".strip()

    def _cookie(self, text: str) -> str:
        """Return what stands for a cookie's text: in quotes and encoded where that is."""
        ours = quote(self._token(unquote(text.strip('"'))))
        return f'"{ours}"' if text.startswith('"') else ours

    def _token(self, recorded: str) -> str:
        if recorded in self.ours or not JWT.fullmatch(recorded):
            assert recorded in self.ours or not re.fullmatch(REFRESH_TOKEN, recorded)
            return self.ours.get(recorded, recorded)
        # One that nobody handed out: one that was, with another signature.
        content, _, signature = recorded.rpartition(".")
        good = next(ours for known, ours in self.ours.items() if known.startswith(content))
        return f"{good.rpartition('.')[0]}.{signature}"

    async def step(self, step: Play | Begin | Refresh | Core) -> None:
        """Do one thing."""
        match step:
            case Play():
                await self.play(step)
            case Begin(server, at, access_of, refresh_of):
                place = await self.place(server)
                await self.go_to(at)
                access = bearer_of(access_of)
                signed = await place.sign_in(user_id=claims_of(access)["sub"])
                self.learn(bearer_of(refresh_of), signed.refresh)
                self.compare(access, signed.access)
            case Refresh(before, at, access_of):
                recording = RECORDINGS[before]
                await self.go_to(at)
                lines = lines_by_name(recording["response"]["headers"]["set-cookie"])
                value = lines["sRefreshToken"].partition("; ")[0].partition("=")[2]
                headers = {
                    "cookie": f"sRefreshToken={value}",
                    "anti-csrf": recording["response"]["headers"]["anti-csrf"],
                }
                place = await self.place(recording["server"])
                reply = await place.ask("POST", "/auth/session/refresh", self.translated(headers))
                assert 200 == reply.status
                cookie = RECORDINGS[access_of]["request"]["headers"]["cookie"]
                token = cookie.partition("sAccessToken=")[2].partition(";")[0]
                self.compare(token, reply.cookie("sAccessToken"))
            case Core(name, action, at, options):
                await self.go_to(at)
                await getattr(await self.core(name), action)(**options)

    async def play(self, step: Play) -> None:
        """Replay an exchange and compare the answer."""
        recording = RECORDINGS[step.name]
        asked, wanted = recording["request"], recording["response"]
        wanted = {**wanted, **DIFFERENCES.get(step.name, {})}
        place = await self.place(recording["server"])
        at = made_at(wanted) if step.at is None else step.at
        if at is not None:
            await self.go_to(at)

        reply = await place.ask(
            asked["method"], asked["path"], self.translated(asked["headers"]), body=asked["json"]
        )

        assert (step.name, wanted["status"]) == (step.name, reply.status), reply.body
        self.compare_headers(wanted, reply, asked["path"])
        self.compare_cookies(expected_lines(wanted), lines_by_name(reply.cookies))
        assert len(reply.cookies) == len(lines_by_name(reply.cookies))
        if wanted["status"] != 404:
            self.compare(wanted["json"], reply.json)

    def compare_headers(self, wanted: dict[str, Any], reply: Any, path: str) -> None:
        """Compare what a back end says in headers: no more and no less."""
        headers = {name: value for name, value in wanted["headers"].items() if name in SAID}
        if exposed := headers.get("access-control-expose-headers"):
            headers["access-control-expose-headers"] = expected_exposed(exposed)
        said = {name: reply.header(name) for name, _ in reply.lines if name in SAID}
        assert sorted(headers) == sorted(said)
        for name, value in headers.items():
            both = value, said[name]
            if name == "front-token" and value != "remove":
                both = tuple(json.loads(base64.b64decode(token)) for token in both)
            self.compare(*both)
        ours = path in OWN_ROUTES or wanted["status"] in {401, 403}
        if ours and wanted["status"] != 404:
            assert wanted["headers"]["content-type"] == reply.header("content-type")

    def compare_cookies(self, recorded: dict[str, str], ours: dict[str, str]) -> None:
        """Compare cookies: their order, values, quoting and attributes."""
        assert list(recorded) == list(ours)
        for name, line in recorded.items():
            (value, _, attributes), (other, text, others) = map(cookie_parts, (line, ours[name]))
            assert attributes == others
            assert ('"' in text) == (not other or "/" in other)
            self.compare(value, other)


def bearer_of(name: str) -> str:
    """Return the bearer token of a recorded request."""
    return RECORDINGS[name]["request"]["headers"]["authorization"].removeprefix("Bearer ")


async def test_the_application_answers_as_the_recorded_one_did(start_core, open_place):
    """Exchange for exchange: status, body, what is set and what is cleared."""
    stage = Stage(start_core, open_place)
    for step in STEPS:
        await stage.step(step)


def test_every_recorded_exchange_is_replayed():
    """None of the 74 is left out, and every wanted difference is about one of them."""
    played = [step.name for step in STEPS if isinstance(step, Play)]

    assert 74 == len(set(played)) == len(RECORDINGS)
    assert set() == set(DIFFERENCES) - set(played)
