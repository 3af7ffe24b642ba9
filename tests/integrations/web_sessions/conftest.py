"""One application in three frameworks, over HTTP, and browsers that send what browsers send."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Annotated, Any

import aiohttp
import pytest
from aiohttp import web
from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from yarl import URL

from async_auth import AuthError, SessionPool, SignInRequired, StoreError, TemporaryError
from async_auth.gotrue import GoTrueClient, GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.integrations import aiohttp as for_aiohttp
from async_auth.integrations import fastapi as for_fastapi
from async_auth.integrations import starlette as for_starlette
from async_auth.stores import MemoryStore
from async_auth.testing import GoTrueServer, ManualClock
from async_auth.web_sessions import WebSession, WebSessions

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"
SECRET = "the-secret-of-these-tests-is-long-enough"
FRAMEWORKS = ("aiohttp", "starlette", "fastapi")


class Behind:
    """What happens behind the routes, whatever the framework."""

    def __init__(self, sessions: WebSessions, server: GoTrueServer) -> None:
        self.sessions = sessions
        self.server = server

    def client(self, handle: Any) -> GoTrueClient:
        """Return a client that works on a session of the pool's."""
        return GoTrueClient(self.server.url, pool=self.sessions.pool, key=handle.key)

    async def login(self, request: Any) -> dict[str, Any]:
        """Sign in with a password; it may be the wrong one."""
        password = request.headers.get("x-password", PASSWORD)
        async with self.sessions.signing_in(request) as handle:
            found = await self.client(handle).sign_in_with_password(email=EMAIL, password=password)
        return {"user": found.user.id}

    async def leave(self, request: Any) -> dict[str, Any]:
        """Begin a sign-in that goes on at a provider's page."""
        async with self.sessions.signing_in(request) as handle:
            found = await self.client(handle).sign_in_with_oauth(
                "github", redirect_to="https://app.example.com/back"
            )
        return {"url": found.url}

    async def back(self, request: Any) -> dict[str, Any]:
        """Finish it with what the browser has brought; without that, fail."""
        try:
            async with self.sessions.signing_in(request) as handle:
                code = request.headers["x-code"]
                found = await self.client(handle).exchange_code_for_session(code)
        except AuthError as error:
            return {"refused": error.code}
        return {"user": found.user.id}

    async def logout(self, request: Any) -> dict[str, Any]:
        """Sign out here, or everywhere."""
        await self.sessions.sign_out(request, everywhere="x-everywhere" in request.headers)
        return {}

    async def rotate(self, request: Any) -> dict[str, Any]:
        """Get another cookie."""
        return {"user": (await self.sessions.rotate(request)).user_id}

    async def late(self, request: Any) -> dict[str, Any]:
        """Try to sign out when the headers have been sent."""
        await self.sessions.sign_out(request)
        return {}

    def error_for(self, request: Any) -> Exception:
        """Return an error that is none of a session's."""
        errors = {"store": StoreError, "sign in": SignInRequired, "later": TemporaryError}
        return errors.get(request.headers.get("x-error"), RuntimeError)("wanted")

    async def me(self, session: Any) -> dict[str, Any]:
        """Say who one is, with a token that is good now."""
        token = await session.get_token()
        return {"user": session.user_id, "expires": token.expires_at, "csrf": session.csrf_token}


def aiohttp_app(behind: Behind) -> web.Application:  # noqa: C901 - a function for each route
    """Return the application in aiohttp.web."""
    app, sessions = web.Application(), behind.sessions
    required, session_of = for_aiohttp.web_session_required, for_aiohttp.web_session_of
    answer = web.json_response

    def of_request(call: Any) -> Any:
        async def handler(request: web.Request) -> web.Response:
            return answer(await call(request))

        return handler

    @required
    async def me(request: web.Request) -> web.Response:
        return answer(await behind.me(session_of(request)))

    async def maybe(request: web.Request) -> web.Response:
        session = await sessions.open(request)
        return answer({"user": session and session.user_id})

    @required
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(session_of(request).user_id.encode())
        if "x-late" in request.headers:
            await behind.late(request)
        await response.write_eof()
        return response

    @required
    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(session_of(request).user_id)
        await socket.close()
        return socket

    async def crash(request: web.Request) -> web.Response:
        await sessions.open(request)
        raise behind.error_for(request)

    async def gone(request: web.Request) -> web.Response:
        await sessions.open(request)
        raise web.HTTPGone

    async def unasked(request: web.Request) -> web.Response:
        return answer({"user": session_of(request)})

    async def plain(_request: web.Request) -> web.Response:
        return answer({}, headers={"Cache-Control": "public"})

    for_aiohttp.setup_web_sessions(app, sessions)
    app.add_routes(
        [
            web.post("/login", of_request(behind.login)),
            web.post("/leave", of_request(behind.leave)),
            web.get("/back", of_request(behind.back)),
            web.post("/logout", of_request(behind.logout)),
            web.post("/rotate", of_request(behind.rotate)),
            web.get("/me", me),
            web.post("/me", me),
            web.get("/maybe", maybe),
            web.get("/stream", stream),
            web.get("/chat", chat),
            web.get("/crash", crash),
            web.get("/gone", gone),
            web.get("/unasked", unasked),
            web.get("/plain", plain),
        ]
    )
    return app


def starlette_app(behind: Behind) -> Starlette:  # noqa: C901 - a function for each route
    """Return the application in Starlette."""
    sessions = behind.sessions
    required, session_of = for_starlette.web_session_required, for_starlette.web_session_of

    def of_request(call: Any) -> Any:
        async def endpoint(request: Any) -> JSONResponse:
            return JSONResponse(await call(request))

        return endpoint

    @required
    async def me(request: Any) -> JSONResponse:
        return JSONResponse(await behind.me(session_of(request)))

    async def maybe(request: Any) -> JSONResponse:
        session = await sessions.open(request)
        return JSONResponse({"user": session and session.user_id})

    @required
    async def stream(request: Any) -> StreamingResponse:
        async def parts() -> Any:
            yield session_of(request).user_id
            if "x-late" in request.headers:
                await behind.late(request)

        return StreamingResponse(parts())

    @required
    async def chat(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(session_of(websocket).user_id)
        await websocket.close()

    async def crash(request: Any) -> JSONResponse:
        await sessions.open(request)
        raise behind.error_for(request)

    async def gone(request: Any) -> JSONResponse:
        await sessions.open(request)
        return JSONResponse({}, 410)

    async def unasked(request: Any) -> JSONResponse:
        return JSONResponse({"user": session_of(request)})

    async def plain(_request: Any) -> JSONResponse:
        return JSONResponse({}, headers={"Cache-Control": "public"})

    app = Starlette(
        routes=[
            Route("/login", of_request(behind.login), methods=["POST"]),
            Route("/leave", of_request(behind.leave), methods=["POST"]),
            Route("/back", of_request(behind.back)),
            Route("/logout", of_request(behind.logout), methods=["POST"]),
            Route("/rotate", of_request(behind.rotate), methods=["POST"]),
            Route("/me", me, methods=["GET", "POST"]),
            Route("/maybe", maybe),
            Route("/stream", stream),
            WebSocketRoute("/chat", chat),
            Route("/crash", crash),
            Route("/gone", gone),
            Route("/unasked", unasked),
            Route("/plain", plain),
        ]
    )
    app.add_middleware(for_starlette.WebSessionMiddleware, sessions=sessions)
    return app


Needed = Annotated[WebSession, Depends(for_fastapi.web_session)]
Maybe = Annotated[WebSession | None, Depends(for_fastapi.optional_web_session)]


def fastapi_app(behind: Behind) -> FastAPI:  # noqa: C901 - a function for each route
    """Return the application in FastAPI."""
    app = FastAPI()

    @app.post("/login")
    async def login(request: Request) -> Any:
        return await behind.login(request)

    @app.post("/leave")
    async def leave(request: Request) -> Any:
        return await behind.leave(request)

    @app.get("/back")
    async def back(request: Request) -> Any:
        return await behind.back(request)

    @app.post("/logout")
    async def logout(request: Request) -> Any:
        return await behind.logout(request)

    @app.post("/rotate")
    async def rotate(request: Request) -> Any:
        return await behind.rotate(request)

    @app.get("/me")
    @app.post("/me")
    async def me(session: Needed) -> Any:
        return await behind.me(session)

    @app.get("/maybe")
    async def maybe(session: Maybe) -> Any:
        return {"user": session and session.user_id}

    @app.get("/stream")
    async def stream(request: Request, session: Needed) -> StreamingResponse:
        async def parts() -> Any:
            yield session.user_id
            if "x-late" in request.headers:
                await behind.late(request)

        return StreamingResponse(parts())

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, session: Needed) -> None:
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    @app.get("/crash")
    async def crash(request: Request, _session: Maybe) -> Any:
        raise behind.error_for(request)

    @app.get("/gone")
    async def gone(_session: Maybe) -> JSONResponse:
        return JSONResponse({}, 410)

    @app.get("/unasked")
    async def unasked(request: Request) -> Any:
        return {"user": for_starlette.web_session_of(request)}

    @app.get("/plain")
    async def plain() -> JSONResponse:
        return JSONResponse({}, headers={"Cache-Control": "public"})

    app.add_middleware(for_fastapi.WebSessionMiddleware, sessions=behind.sessions)
    return app


APPS = {"aiohttp": aiohttp_app, "starlette": starlette_app, "fastapi": fastapi_app}


class Browser:
    """Sends what a browser sends, and keeps cookies."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.cookies: dict[str, str] = {}

    @property
    def jar(self) -> dict[str, str]:
        """The header with its cookies."""
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    async def ask(
        self, path: str, method: str = "GET", *, site: str | None = "same-origin", **headers: str
    ) -> Any:
        """Send a request from a page of that *site*, and keep what cookies come."""
        said = {} if site is None else {"Sec-Fetch-Site": site}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(
            method, self.url + path, headers={**self.jar, **said, **given}
        ) as response:
            text = await response.text()
            lines = response.headers.getall("Set-Cookie", [])
            for line in lines:
                name, _, value = line.partition(";")[0].partition("=")
                if "Max-Age=0" in line:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = value
            is_json = response.content_type == "application/json"
            return SimpleNamespace(
                status=response.status,
                headers=response.headers,
                text=text,
                json=await response.json() if is_json else None,
                cookies=lines,
            )

    async def sign_in(self) -> Browser:
        """Sign in, and return itself."""
        assert 200 == (await self.ask("/login", "POST")).status
        return self

    async def travel(self, url: str) -> str:
        """Follow a page of the auth server's until it leads back; return the code it brings."""
        async with self.http.get(url, allow_redirects=False) as response:
            location = URL(response.headers["Location"])
        if location.host == "app.example.com":
            return location.query["code"]
        return await self.travel(str(location))

    def copy(self) -> Browser:
        """Return a browser that has got hold of the cookies."""
        thief = Browser(self.http, self.url)
        thief.cookies = dict(self.cookies)
        return thief


class Place:
    """An application that is up, perhaps on several replicas with one store."""

    def __init__(self, *, server: Any, clock: Any, start: Any, http: Any) -> None:
        self.server = server
        self.clock = clock
        self.store = MemoryStore()
        self._start = start
        self._http = http
        self.urls: list[str] = []
        self.sessions: WebSessions | None = None

    async def replica(self, **options: Any) -> str:
        """Start another replica and return its URL."""
        self.sessions, url = await self._start(self.store, **options)
        self.urls.append(url)
        return url

    def browser(self) -> Browser:
        """Return a browser without cookies, at the first replica."""
        return Browser(self._http, self.urls[0])


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> str:
    """Name each framework in turn."""
    return request.param


@pytest.fixture
async def place(framework: str, serve_asgi: Any) -> Any:
    """Serve the application in the test's framework."""
    clock = ManualClock()
    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(GoTrueServer(clock=clock))
        server.create_user(email=EMAIL, password=PASSWORD)
        http = await exits.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )

        async def start(store: Any, **options: Any) -> tuple[WebSessions, str]:
            provider = GoTrueProvider(Endpoint(server.url))
            pool = await exits.enter_async_context(SessionPool(provider, store=store, clock=clock))
            options = {"secrets": [SECRET], "origins": "http://127.0.0.1:1", **options}
            sessions = WebSessions(pool, **options)
            app = APPS[framework](Behind(sessions, server))
            if not isinstance(app, web.Application):
                return sessions, await serve_asgi(app)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            exits.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return sessions, f"http://127.0.0.1:{runner.addresses[0][1]}"

        found = Place(server=server, clock=clock, start=start, http=http)
        await found.replica()
        yield found


@pytest.fixture
def together() -> Any:
    """Return a function that awaits several things at once."""
    return asyncio.gather
