"""One application in three frameworks, over HTTP, and a client that sends requests as they are.

The application is the one that SuperTokens' own back end was recorded with, and has some routes
more. A test that takes `framework` runs on all three; what it asks has the same answer in each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import urlsplit

import attrs
import pytest
from aiohttp import web
from fastapi import Body, Depends, FastAPI, Request, Response, WebSocket
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from async_auth.integrations import aiohttp as for_aiohttp
from async_auth.integrations import fastapi as for_fastapi
from async_auth.integrations import starlette as for_starlette
from async_auth.supertokens import (
    AppInfo,
    BooleanClaim,
    ErrorHandlers,
    ServerSession,
    SuperTokensBackend,
)
from async_auth.testing import ManualClock, SuperTokensCoreServer

#: Where SuperTokens' own back end was when it was recorded.
PLACE = "http://127.0.0.1:3001"
FRAMEWORKS = ("aiohttp", "starlette", "fastapi")


async def unverified(*_args: Any, **_options: Any) -> bool | None:
    """Know nothing of anybody."""
    return None


VERIFIED = BooleanClaim("x-verified", unverified)


def about(session: Any) -> dict[str, Any]:
    """Say what an endpoint sees of a session."""
    return {
        "userId": session.user_id,
        "sessionHandle": session.handle,
        "payload": session.access_token_payload,
    }


class Behind:
    """What happens behind the routes, whatever the framework; `session` is the verified one."""

    def __init__(self, backend: SuperTokensBackend) -> None:
        self.backend = backend
        #: Those who wait at `/together` until all have come.
        self.barrier = asyncio.Barrier(2)

    async def login(self, request: Any, body: Any) -> dict[str, Any]:
        """Begin a session."""
        session = await self.backend.create_new_session(
            request, None, body["userId"], access_token_payload=body.get("payload")
        )
        return {"status": "OK", "userId": session.user_id, "sessionHandle": session.handle}

    async def late(self, request: Any) -> None:
        """Begin a session, or look for one, when the headers of the answer have been sent."""
        if "x-begin" in request.headers:
            await self.backend.create_new_session(request, None, "eve")
        await self.backend.get_session(request)

    async def set_claim(self, session: Any) -> dict[str, Any]:
        """Change the claims."""
        await session.set_claim_value(VERIFIED, value=True)
        return {"status": "OK"}

    async def revoke_me(self, session: Any) -> dict[str, Any]:
        """End the session."""
        await session.revoke_session()
        return {"status": "OK"}

    async def revoke(self, body: Any) -> dict[str, Any]:
        """End a session by its handle, or all of a user's."""
        if handle := body.get("sessionHandle"):
            return {"revoked": await self.backend.revoke_session(handle)}
        return {"revoked": await self.backend.revoke_all_sessions_for_user(body["userId"])}

    async def together(self, session: Any) -> dict[str, Any]:
        """Wait for somebody else, then say who one is."""
        await self.barrier.wait()
        return about(session)


def aiohttp_app(  # noqa: C901, PLR0915 - a function for each route
    backend: SuperTokensBackend, **options: Any
) -> web.Application:
    """Return the application in aiohttp.web."""
    behind, app = Behind(backend), web.Application()
    verify_session, session_of = for_aiohttp.verify_session, for_aiohttp.session_of
    answer = web.json_response

    async def login(request: web.Request) -> web.Response:
        return answer(await behind.login(request, await request.json()))

    async def revoke(request: web.Request) -> web.Response:
        return answer(await behind.revoke(await request.json()))

    async def protected(request: web.Request) -> web.Response:
        return answer(about(session_of(request)))

    @verify_session(session_required=False)
    async def optional(request: web.Request) -> web.Response:
        session = session_of(request)
        return answer({"userId": session and session.user_id})

    @verify_session(claim_validators=iter([VERIFIED.validators.is_true()]))
    async def needs_claim(request: web.Request) -> web.Response:
        return answer({"userId": session_of(request).user_id, "verified": True})

    @verify_session()
    async def set_claim(request: web.Request) -> web.Response:
        return answer(await behind.set_claim(session_of(request)))

    @verify_session()
    async def revoke_me(request: web.Request) -> web.Response:
        return answer(await behind.revoke_me(session_of(request)))

    @verify_session()
    async def together(request: web.Request) -> web.Response:
        return answer(await behind.together(session_of(request)))

    @verify_session()
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(session_of(request).user_id.encode())
        await response.write(b" streams")
        return response

    async def late(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await behind.late(request)
        return response

    async def direct(request: web.Request) -> web.Response:
        await backend.get_session(request)
        return answer(about(session_of(request)))

    @verify_session()
    async def crash(request: web.Request) -> web.Response:
        await session_of(request).set_claim_value(VERIFIED, value=True)
        raise RuntimeError("wanted")

    @verify_session()
    async def chat(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_str(session_of(request).user_id)
        await websocket.close()
        return websocket

    @verify_session(check_database=True)
    async def chat_db(request: web.Request) -> web.WebSocketResponse:
        return await chat(request)

    @verify_session()
    async def raised(request: web.Request) -> web.Response:
        await session_of(request).set_claim_value(VERIFIED, value=True)
        raise web.HTTPConflict

    async def unasked(request: web.Request) -> web.Response:
        return answer(session_of(request))

    @verify_session()
    async def own_cookie(request: web.Request) -> web.Response:
        response = answer({}, headers={"Access-Control-Expose-Headers": "x-own"})
        response.set_cookie("own", "1")
        return response

    for route in ("GET", "POST"):
        app.router.add_route(route, "/protected", verify_session()(protected))
    app.router.add_get("/protected-db", verify_session(check_database=True)(protected))
    app.router.add_get("/checked", verify_session(anti_csrf_check=True)(protected))
    app.router.add_post("/unchecked", verify_session(anti_csrf_check=False)(protected))
    app.router.add_post("/login", login)
    app.router.add_post("/revoke", revoke)
    app.router.add_get("/optional", optional)
    app.router.add_get("/needs-claim", needs_claim)
    app.router.add_post("/set-claim", set_claim)
    app.router.add_post("/revoke-me", revoke_me)
    app.router.add_get("/together", together)
    app.router.add_get("/stream", stream)
    app.router.add_get("/late", late)
    app.router.add_get("/direct", direct)
    app.router.add_get("/crash", crash)
    app.router.add_get("/chat", chat)
    app.router.add_get("/chat-db", chat_db)
    app.router.add_get("/raised", raised)
    app.router.add_get("/unasked", unasked)
    app.router.add_get("/own-cookie", own_cookie)
    for_aiohttp.setup_supertokens(app, backend, **options)
    return app


def starlette_app(  # noqa: C901 - a function for each route
    backend: SuperTokensBackend, **options: Any
) -> Starlette:
    """Return the application in Starlette."""
    verify_session, session_of = for_starlette.verify_session, for_starlette.session_of
    behind = Behind(backend)

    async def login(request):
        return JSONResponse(await behind.login(request, await request.json()))

    async def revoke(request):
        return JSONResponse(await behind.revoke(await request.json()))

    async def protected(request):
        return JSONResponse(about(session_of(request)))

    @verify_session(session_required=False)
    async def optional(request):
        session = session_of(request)
        return JSONResponse({"userId": session and session.user_id})

    @verify_session(claim_validators=iter([VERIFIED.validators.is_true()]))
    async def needs_claim(request):
        return JSONResponse({"userId": session_of(request).user_id, "verified": True})

    @verify_session()
    async def set_claim(request):
        return JSONResponse(await behind.set_claim(session_of(request)))

    @verify_session()
    async def revoke_me(request):
        return JSONResponse(await behind.revoke_me(session_of(request)))

    @verify_session()
    async def together(request):
        return JSONResponse(await behind.together(session_of(request)))

    @verify_session()
    async def stream(request):
        async def parts():
            yield session_of(request).user_id
            yield " streams"

        return StreamingResponse(parts())

    async def late(request):
        async def parts():
            yield "begun"
            await behind.late(request)

        return StreamingResponse(parts())

    async def direct(request):
        await backend.get_session(request)
        return JSONResponse(about(session_of(request)))

    @verify_session()
    async def crash(request):
        await session_of(request).set_claim_value(VERIFIED, value=True)
        raise RuntimeError("wanted")

    @verify_session()
    async def chat(websocket):
        await websocket.accept()
        await websocket.send_text(session_of(websocket).user_id)
        await websocket.close()

    @verify_session(check_database=True)
    async def chat_db(websocket):
        await chat(websocket)

    @verify_session()
    async def raised(request):
        await session_of(request).set_claim_value(VERIFIED, value=True)
        raise HTTPException(409)

    async def unasked(request):
        return JSONResponse(session_of(request))

    @verify_session()
    async def own_cookie(_request):
        response = JSONResponse({}, headers={"Access-Control-Expose-Headers": "x-own"})
        response.set_cookie("own", "1")
        return response

    app = Starlette(
        routes=[
            Route("/protected", verify_session()(protected), methods=["GET", "POST"]),
            Route("/protected-db", verify_session(check_database=True)(protected)),
            Route("/checked", verify_session(anti_csrf_check=True)(protected)),
            Route("/unchecked", verify_session(anti_csrf_check=False)(protected), methods=["POST"]),
            Route("/login", login, methods=["POST"]),
            Route("/revoke", revoke, methods=["POST"]),
            Route("/optional", optional),
            Route("/needs-claim", needs_claim),
            Route("/set-claim", set_claim, methods=["POST"]),
            Route("/revoke-me", revoke_me, methods=["POST"]),
            Route("/together", together),
            Route("/stream", stream),
            Route("/late", late),
            Route("/direct", direct),
            Route("/crash", crash),
            WebSocketRoute("/chat", chat),
            WebSocketRoute("/chat-db", chat_db),
            Route("/raised", raised),
            Route("/unasked", unasked),
            Route("/own-cookie", own_cookie),
        ]
    )
    app.add_middleware(for_starlette.SuperTokensMiddleware, backend=backend, **options)
    return app


verify = for_fastapi.verify_session
Json = Annotated[Any, Body()]
Session = Annotated[ServerSession, Depends(verify())]
Checked = Annotated[ServerSession, Depends(verify(anti_csrf_check=True))]
Unchecked = Annotated[ServerSession, Depends(verify(anti_csrf_check=False))]
InDatabase = Annotated[ServerSession, Depends(verify(check_database=True))]
Maybe = Annotated[ServerSession | None, Depends(verify(session_required=False))]
Verified = Annotated[
    ServerSession, Depends(verify(claim_validators=iter([VERIFIED.validators.is_true()])))
]


def fastapi_app(  # noqa: C901 - a function for each route
    backend: SuperTokensBackend, **options: Any
) -> FastAPI:
    """Return the application in FastAPI."""
    behind, app, session_of = Behind(backend), FastAPI(), for_fastapi.session_of

    @app.post("/login")
    async def login(request: Request, body: Json):
        return await behind.login(request, body)

    @app.post("/revoke")
    async def revoke(body: Json):
        return await behind.revoke(body)

    @app.get("/protected")
    @app.post("/protected")
    def protected(session: Session):
        return about(session)

    @app.get("/protected-db")
    async def protected_db(session: InDatabase):
        return about(session)

    @app.get("/checked")
    async def checked(session: Checked):
        return about(session)

    @app.post("/unchecked")
    async def unchecked(session: Unchecked):
        return about(session)

    @app.get("/optional")
    async def optional(session: Maybe):
        return {"userId": session and session.user_id}

    @app.get("/needs-claim")
    async def needs_claim(session: Verified):
        return {"userId": session.user_id, "verified": True}

    @app.post("/set-claim")
    async def set_claim(session: Session):
        return await behind.set_claim(session)

    @app.post("/revoke-me")
    async def revoke_me(session: Session):
        return await behind.revoke_me(session)

    @app.get("/together")
    async def together(session: Session):
        return await behind.together(session)

    @app.get("/stream")
    async def stream(session: Session):
        async def parts():
            yield session.user_id
            yield " streams"

        return StreamingResponse(parts())

    @app.get("/late")
    async def late(request: Request):
        async def parts():
            yield "begun"
            await behind.late(request)

        return StreamingResponse(parts())

    @app.get("/direct")
    async def direct(request: Request):
        await backend.get_session(request)
        return about(session_of(request))

    @app.get("/crash")
    async def crash(session: Session):
        await session.set_claim_value(VERIFIED, value=True)
        raise RuntimeError("wanted")

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, session: Session):
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    @app.websocket("/chat-db")
    async def chat_db(websocket: WebSocket, session: InDatabase):
        await chat(websocket, session)

    @app.get("/raised")
    async def raised(session: Session):
        await session.set_claim_value(VERIFIED, value=True)
        raise HTTPException(409)

    @app.get("/unasked")
    async def unasked(request: Request):
        return session_of(request)

    @app.get("/own-cookie")
    async def own_cookie(_session: Session, response: Response):
        response.headers["Access-Control-Expose-Headers"] = "x-own"
        response.set_cookie("own", "1")
        return {}

    app.add_middleware(for_fastapi.SuperTokensMiddleware, backend=backend, **options)
    return app


APPS = {"aiohttp": aiohttp_app, "starlette": starlette_app, "fastapi": fastapi_app}


@attrs.frozen
class Reply:
    """A response as it came: every header line, in lower case, in its order."""

    status: int
    lines: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the one value of a header, `None` without one."""
        values = [value for found, value in self.lines if found == name]
        assert len(values) < 2, f"{name} comes {len(values)} times"
        return values[0] if values else None

    @property
    def cookies(self) -> list[str]:
        """The lines of `Set-Cookie`."""
        return [value for name, value in self.lines if name == "set-cookie"]

    def cookie(self, name: str) -> str | None:
        """Return the text of a cookie as it is set, quotes and all; `None` if it is not."""
        values = [
            line.split(";")[0].partition("=")[2]
            for line in self.cookies
            if line.startswith(f"{name}=")
        ]
        assert len(values) < 2, f"{name} is set {len(values)} times"
        return values[0] if values else None

    @property
    def said(self) -> dict[str, Any]:
        """All that the back end has to do with: the same in every framework."""
        names = (
            "front-token",
            "st-access-token",
            "st-refresh-token",
            "anti-csrf",
            "access-control-expose-headers",
            "retry-after",
        )
        headers = {name: value for name in names if (value := self.header(name)) is not None}
        return {"status": self.status, "headers": headers, "cookies": self.cookies}


Headers = dict[str, str] | Iterable[tuple[str | bytes, str | bytes]]


async def ask(
    url: str, method: str, path: str, headers: Headers = (), *, body: Any = None
) -> Reply:
    """
    Send one request, its headers byte for byte, and read the response.

    Raises:
        EOFError: The server closed the connection before the end.
    """

    def raw(text: str | bytes) -> bytes:
        return text.encode() if isinstance(text, str) else text

    place = urlsplit(url)
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1".encode(),
        *([] if "host" in dict(pairs) else [b"Host: " + place.netloc.encode()]),
        b"Connection: close",
        b"Content-Length: %d" % len(content),
        *([b"Content-Type: application/json"] if content else []),
        *(raw(name) + b": " + raw(value) for name, value in pairs),
    ]
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=2**20)
    try:
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        fields = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(":") for line in rest)
        ]
        if ("transfer-encoding", "chunked") in fields:
            answer = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                answer += (await reader.readexactly(size + 2))[:-2]
        else:
            answer = await reader.read()
        return Reply(int(first.split(" ")[1]), fields, answer)
    finally:
        writer.close()


class Place:
    """An application that is up: its address, its back end and the core behind that."""

    def __init__(self, url: str, backend: SuperTokensBackend, core: SuperTokensCoreServer) -> None:
        self.url = url
        self.backend = backend
        self.core = core

    async def ask(self, method: str, path: str, headers: Headers = (), **options: Any) -> Reply:
        """Send a request, as `ask()` does."""
        return await ask(self.url, method, path, headers, **options)

    async def sign_in(
        self, method: str = "header", *, user_id: str = "ada", **payload: Any
    ) -> Signed:
        """Begin a session."""
        reply = await self.ask(
            "POST",
            "/login",
            {"st-auth-mode": method, "rid": "session"},
            body={"userId": user_id, "payload": payload},
        )
        assert 200 == reply.status
        return Signed.of(self, reply)

    async def swappable(self, method: str = "header") -> Signed:
        """Begin a session and refresh it: the next request gets another access token."""
        return await (await self.sign_in(method)).refreshed()


@attrs.frozen(kw_only=True)
class Signed:
    """A front end that is signed in: what it holds, and how it shows it."""

    place: Place
    access: str
    refresh: str
    in_cookies: bool
    anti_csrf: str | None = None
    handle: str | None = None

    @classmethod
    def of(cls, place: Place, reply: Reply) -> Signed:
        """Take what a sign-in or a refresh has brought."""
        in_cookies = bool(reply.cookie("sAccessToken"))
        return cls(
            place=place,
            access=(reply.cookie("sAccessToken") or reply.header("st-access-token")),
            refresh=(reply.cookie("sRefreshToken") or reply.header("st-refresh-token")),
            in_cookies=in_cookies,
            anti_csrf=reply.header("anti-csrf"),
            handle=reply.json.get("sessionHandle"),
        )

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its requests."""
        return self._shown("sAccessToken", self.access)

    @property
    def refresh_headers(self) -> dict[str, str]:
        """The headers of its refreshes."""
        return self._shown("sRefreshToken", self.refresh)

    def _shown(self, name: str, token: str) -> dict[str, str]:
        extra = {} if self.anti_csrf is None else {"anti-csrf": self.anti_csrf}
        if self.in_cookies:
            return {"cookie": f"{name}={token}", "rid": "session", **extra}
        return {"authorization": f"Bearer {token}"}

    async def ask(self, path: str = "/protected", *, method: str = "GET", **options: Any) -> Reply:
        """Send a request with its access token."""
        return await self.place.ask(method, path, self.headers, **options)

    async def ask_refresh(self) -> Reply:
        """Send a refresh."""
        path = self.place.backend.settings.refresh_path
        return await self.place.ask("POST", path, self.refresh_headers)

    async def refreshed(self) -> Signed:
        """Refresh, and return what it holds then."""
        reply = await self.ask_refresh()
        assert 200 == reply.status
        return Signed.of(self.place, reply)


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """Name each framework in turn."""
    return request.param


@pytest.fixture
async def exits():
    """Return what is left at the end of the test."""
    async with AsyncExitStack() as exits:
        yield exits


@pytest.fixture
def serve_app(exits, serve_asgi):
    """Return a function that serves an application of any of the frameworks; gives its URL."""

    async def start(app: Any) -> str:
        if not isinstance(app, web.Application):
            return await serve_asgi(app)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        exits.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    return start


@pytest.fixture
def start_core(exits, make_key):
    """Return a function that starts a core; its clock is a manual one unless it is given one."""

    async def start(clock: ManualClock | None = None, **options: Any) -> SuperTokensCoreServer:
        core = SuperTokensCoreServer(clock=clock or ManualClock(), make_key=make_key, **options)
        return await exits.enter_async_context(core)

    return start


@pytest.fixture
def make_backend(exits):
    """Return a function that makes a back end of a core, on its clock."""

    def make(core: SuperTokensCoreServer, *, place: str = PLACE, **options: Any):
        app = AppInfo("app", place, place)
        backend = SuperTokensBackend(core.url, app=app, clock=core.clock, **options)
        exits.push_async_callback(backend.aclose)
        return backend

    return make


@pytest.fixture
def open_any(start_core, make_backend, serve_app):
    """Return a function that serves the application in a framework; options are a back end's."""

    async def start(
        *,
        of: str,
        core: SuperTokensCoreServer | None = None,
        handlers: dict[str, Any] | None = None,
        **options: Any,
    ) -> Place:
        core = core or await start_core()
        backend = make_backend(core, error_handlers=ErrorHandlers(**(handlers or {})), **options)
        return Place(await serve_app(APPS[of](backend)), backend, core)

    return start


@pytest.fixture
def open_place(framework, open_any):
    """Return a function that serves the application in the test's framework."""
    return partial(open_any, of=framework)


@pytest.fixture
async def place(open_place):
    """Serve the application with nothing said."""
    return await open_place()


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Start an application as its server would, without serving it, and shut it down after."""
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        yield
        await runner.cleanup()
        return
    received, sent = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, received.get, sent.put))
    for phase in ("startup", "shutdown"):
        received.put_nowait({"type": f"lifespan.{phase}"})
        said = asyncio.create_task(sent.get())
        await asyncio.wait([said, task], return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            said.cancel()
            await task
        assert f"lifespan.{phase}.complete" == (await said)["type"]
        if phase == "startup":
            yield
    await task


async def nobody(_request: Any) -> None:
    """Be an endpoint that is not reached."""
    raise AssertionError("reached")


@pytest.fixture
def kit():
    """Return the names that tests need from here, for they cannot import it."""
    return SimpleNamespace(
        APPS=APPS,
        VERIFY={
            "aiohttp": for_aiohttp.verify_session()(nobody),
            "starlette": for_starlette.verify_session()(nobody),
            "fastapi": for_fastapi.verify_session(),
        },
        SESSION_OF={
            "aiohttp": for_aiohttp.session_of,
            "starlette": for_starlette.session_of,
            "fastapi": for_fastapi.session_of,
        },
        ErrorHandlers=ErrorHandlers,
        Signed=Signed,
        ask=ask,
        running=running,
    )
