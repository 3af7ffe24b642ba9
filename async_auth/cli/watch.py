"""`async-auth watch`: the session, live, and kept fresh as long as somebody looks."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import attrs
import click

from async_auth.cli import exit_codes
from async_auth.cli.clients import Opened, make_client, open_profile
from async_auth.cli.options import json_option, profile_option
from async_auth.cli.output import moves, spare_the_encoding
from async_auth.cli.running import ENDING, heeding
from async_auth.cli.standing import standing_of
from async_auth.cli.watch_views import JsonLines, Lines, Picture, View
from async_auth.errors import StoreError
from async_auth.events import Event, RefreshFailed

EXAMPLES = """\b
Examples:
  async-auth watch
  async-auth watch --no-refresh >> session.log &     # one line for each event
  async-auth watch --json | jq -c 'select(.type == "event")'
"""
#: Seconds between two looks at the clock.
EVERY = 0.5


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@click.option("--no-refresh", is_flag=True, help="Only look on; leave refreshing to others.")
@profile_option
@json_option
def watch(*, no_refresh: bool, profile: str | None, as_json: bool) -> None:
    """
    Watch the session: its life, its events, its next refresh.

    It keeps the session fresh meanwhile, as any program would, and sees what other programs do
    with it. On a terminal it is a picture, elsewhere a line for each event. Ctrl-C ends it, with
    exit code 0.
    """
    opened = open_profile(profile, auto_refresh=not no_refresh)
    login = exit_codes.login_command(profile)
    with choose_view(opened, login=login, alone=no_refresh, as_json=as_json) as view:
        ended_by = asyncio.run(follow(opened, view, refreshes=not no_refresh))
    if ended_by is not signal.SIGINT:
        click.get_current_context().exit(exit_codes.BY_SIGNAL + ended_by)


def choose_view(opened: Opened, *, login: str, alone: bool, as_json: bool) -> View:
    """Return the picture for a terminal that can move its cursor, lines for all else."""
    spare_the_encoding()
    if as_json:
        return JsonLines(opened)
    return Picture(opened, login=login, alone=alone) if moves() else Lines(opened)


async def follow(opened: Opened, view: View, *, refreshes: bool) -> signal.Signals:
    """
    Show everything that happens until a signal ends it, and return which.

    A manager whose session has ended does not take up another's sign-in, for its program may be
    about to sign in itself. Whoever watches has no such plans: there a new one takes its place.

    Args:
        opened: The profile.
        view: Where to show it.
        refreshes: Whether the session is kept fresh meanwhile.

    Raises:
        StoreError: The session cannot be read.
    """
    with ending() as ended:
        while not ended.done():
            async with opened.client as client, client.events() as stream:
                replaced = asyncio.ensure_future(sign_in_by_others(opened))
                try:
                    await show(opened, stream, view, until=(ended, replaced))
                    if replaced.done():
                        replaced.result()  # or what went wrong would go wrong for ever
                finally:
                    replaced.cancel()
                    await asyncio.wait({replaced})
            again = make_client(opened.profile, opened.store, auto_refresh=refreshes)
            opened = attrs.evolve(opened, client=again)
        return ended.result()


async def show(
    opened: Opened,
    stream: AsyncIterator[Event],
    view: View,
    *,
    until: Iterable[asyncio.Future[Any]],
) -> None:
    """Show one client's events, and how it stands, until one of the futures is done."""
    client, ends, retry_at = opened.client, set(until), None
    coming: asyncio.Future[Event] = asyncio.ensure_future(anext(stream))
    try:
        while not any(end.done() for end in ends):
            if coming.done():
                event = coming.result()
                view.note(event)
                retry_at = event.retry_at if isinstance(event, RefreshFailed) else None
                coming = asyncio.ensure_future(anext(stream))
            now = time.time()
            standing = standing_of(client.session, client.status, now=now, retry_at=retry_at)
            view.tick(standing, now)
            waited: set[asyncio.Future[Any]] = {coming, *ends}
            await asyncio.wait(waited, timeout=EVERY, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            view.note(coming.result())  # that the session ended, when another takes its place
    finally:
        coming.cancel()
        await asyncio.wait({coming})


async def sign_in_by_others(opened: Opened) -> None:
    """Return when the store has another sign-in than the client."""
    records = opened.store.watch(opened.profile.name)
    async with contextlib.aclosing(records):  # type: ignore[type-var]  # it has an aclose()
        while True:
            try:
                record = await anext(records)
            except StoreError:
                # The client's own watch tells of it; the next step tries again.
                await asyncio.sleep(EVERY)
                continue
            session = opened.client.session
            if record is not None and (session is None or session.sign_in_id != record.sign_in_id):
                return


@contextlib.contextmanager
def ending() -> Iterator[asyncio.Future[signal.Signals]]:
    """Give what is done as soon as a signal says that it is enough."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[signal.Signals] = loop.create_future()

    def end(number: signal.Signals) -> None:
        if not ended.done():
            ended.set_result(number)

    with heeding((signal.SIGINT, *ENDING), end):
        yield ended
