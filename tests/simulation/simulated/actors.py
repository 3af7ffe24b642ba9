"""Those who use a unit: callers in a hurry, users with moods, subscribers fast, slow and leaving.

Each is a task of the unit's process, and may be cancelled at any await.
"""

from __future__ import annotations

import asyncio

from simulated import invariants

from async_auth.errors import AuthError, SignInRequired
from async_auth.session import AccessToken


class Actors:
    """
    The users of one world.

    Args:
        world: Where.
    """

    def __init__(self, world):
        self._world = world
        #: The newest generation that somebody has got, by unit and session.
        self._newest = {}
        self.verbs = {
            "get_token": self.get_token,
            "herd": self.herd,
            "get_session": self.get_session,
            "use": self.use,
            "refresh": self.refresh,
            "subscribe": self.subscribe,
            "sign_out": self.sign_out,
            "sign_in": self.sign_in,
            "sign_in_once": self.sign_in_once,
            "by_hand": self.by_hand,
            "outside": self.outside,
            "revoked": self.revoked,
            "replace_user": self.replace_user,
        }
        moods = world.plan.moods
        weights = {
            "get_token": 40,
            "herd": 12,
            "get_session": 12,
            "use": 16,
            "refresh": 6,
            "subscribe": 3,
            "sign_out": 1.5 * moods,
            "sign_in": 2 * moods,
            "sign_in_once": 3 * moods,
            "by_hand": 1.0 * moods,
            "outside": 1.0 * moods,
            "revoked": 0.7 * moods,
            "replace_user": 2 * moods,
        }
        self._names, self._weights = list(weights), list(weights.values())

    def act(self, unit, key):
        """Let somebody do something."""
        (verb,) = self._world.random.choices(self._names, self._weights)
        self._world.spawn_caller(unit, self.verbs[verb](unit, key), verb)

    # What programs do all the time.

    async def get_token(self, unit, key, **options):
        """Ask for a token, with whatever lifetime."""
        draw = self._world.random
        if not options and draw.random() < 0.2:
            options = {"min_ttl": draw.choice((0, 1, 5, self._world.plan.life))}
        handle = unit.handle(key)
        token = await self._asking(unit, key, "get_token", lambda: handle.get_token(**options))
        if token is None:
            return None
        self._judge(unit, key, token)
        return token

    async def herd(self, unit, key):
        """Ask from many tasks at once."""
        for _ in range(self._world.random.randint(2, 6)):
            self._world.spawn_caller(unit, self.get_token(unit, key), "herd")

    async def get_session(self, unit, key):
        """Ask for the session."""
        handle = unit.handle(key)
        session = await self._asking(unit, key, "get_session", handle.get_session)
        if session is not None:
            self._judge(unit, key, _token_of(session))

    async def use(self, unit, key):
        """Send a request with the token; a refusal asks for another one, as adapters do."""
        token = await self.get_token(unit, key)
        if token is None:
            return
        world, handle = self._world, unit.handle(key)
        request = world.server.use_request(token)
        response = await self._asking(unit, key, "send", lambda: handle.send(request))
        late = world.faulty and world.random.random() < 0.05
        if response is not None and (response.status == 401 or late):
            world.count("rejected tokens")
            if world.random.random() < 0.3:
                await unit.process.clock.sleep(world.random.random() * 3)
            rejected = token if world.random.random() < 0.7 else token.value
            prompt, steps = self._is_late(unit, key, token), world.loop.steps
            again = await self.get_token(unit, key, rejected=rejected)
            if prompt and again is not None and world.loop.steps != steps:
                world.hold("late_401", "a 401 to a token that was replaced before is waited for")

    @staticmethod
    def _is_late(unit, key, token):
        """Say whether a refused token has long been replaced by one that is good for a while."""
        session = unit.handle(key).session
        if session is None or session.expires_at is None or session.access_token == token.value:
            return False
        left = session.expires_at - unit.process.clock.now()
        return session.generation != token.generation and left > 2.5

    async def refresh(self, unit, key):
        """Want new tokens whatever the expiry."""
        unit.press(key)
        handle = unit.handle(key)
        session = await self._asking(unit, key, "refresh_session", handle.refresh_session)
        if session is not None:
            self._judge(unit, key, _token_of(session), fresh=False)

    async def subscribe(self, unit, key):
        """Read events: at once, slowly, or only for a while."""
        world, draw = self._world, self._world.random
        buffer = draw.choice((1, 2, 8, 256))
        everything = unit.pool is not None and draw.random() < 0.3
        if unit.closed:
            return
        stream, expected = unit.subscribe(None if everything else key, buffer)
        slow = draw.choice((0.0, 0.0, 0.2 * world.plan.life, 3.0 * world.plan.life))
        last = draw.choice((1, 5, 10**6, 10**6))
        world.spawn_reader(unit, self._read(unit, stream, expected, slow, last))

    async def _read(self, unit, stream, expected, slow, last):
        world = self._world
        while last:
            try:
                event = await anext(stream)
            except StopAsyncIteration:
                world.hold("every_event_once", expected.ended())
                return
            except asyncio.CancelledError:
                # It loses nothing by that: it reads on.
                continue
            except AuthError as error:
                broken = invariants.typed_error("events", error, closed=unit.closed)
                world.hold("typed_error", broken)
                await unit.process.clock.sleep(1.0)
                continue
            world.hold("every_event_once", expected.got(event))
            last -= 1
            if slow and not unit.closed:
                try:
                    await unit.process.clock.sleep(slow * world.random.random())
                except asyncio.CancelledError:
                    continue
        stream.close()

    # What users do now and then.

    async def sign_in(self, unit, key):
        """Sign in, whether or not anybody is."""
        await self._asking(unit, key, "sign_in", lambda: self._sign_in(unit, key))

    async def sign_in_once(self, unit, key):
        """Sign in if nobody is."""
        handle = unit.handle(key)
        await self._asking(
            unit, key, "sign_in", lambda: handle.sign_in_once(lambda: self._sign_in(unit, key))
        )

    async def _sign_in(self, unit, key):
        server, handle, clock = self._world.server, unit.handle(key), unit.process.clock
        order = handle.begin_sign_in()
        sent_at = clock.now()
        response = await handle.send(server.sign_in_request(key))
        session = server.read_sign_in(response, sent_at=sent_at, now=clock.now())
        self._world.count("sign-ins")
        self._world.ledger.signed_in[session.refresh_token] = unit.process
        return await handle.adopt(session, order=order)

    async def sign_out(self, unit, key):
        """Sign out."""
        handle, world = unit.handle(key), self._world
        world.count("sign-outs")
        await self._asking(unit, key, "sign_out", lambda: self._sign_out(unit, key, handle))

    async def _sign_out(self, unit, key, handle):
        await handle.start()
        session = handle.session
        unit.asked[key] = None if session is None else session.sign_in_id
        unit.press(key)
        if session is not None:
            server = self._world.ledger.session_of(session.refresh_token)
            if server is not None:
                server.left = True
        # Without a pause: what is current now is what ends.
        await handle.sign_out()
        self._world.judge_sign_out(unit, key, session)

    async def by_hand(self, unit, key):
        """Spend a refresh token by hand: the current one, or an old one."""
        handle, world = unit.handle(key), self._world
        unit.press(key)
        known = [
            token
            for token, (_, number) in world.ledger.refresh_tokens.items()
            if world.ledger.sessions[number].key == key
        ]
        session = handle.session
        token = session.refresh_token if session is not None else None
        if token is None or (known and world.random.random() < 0.3):
            token = world.random.choice(known) if known else "never-issued"
        world.ledger.by_hand.add(token)
        world.count("tokens spent by hand")
        await self._asking(
            unit, key, "refresh_session", lambda: handle.refresh_session(token), own=False
        )

    async def outside(self, unit, key):
        """Take over a session that was begun elsewhere."""
        handle, world = unit.handle(key), self._world
        unit.press(key)
        _, refresh = world.server.open_elsewhere(key)
        world.ledger.by_hand.add(refresh)
        world.count("sessions brought in")
        await self._asking(
            unit, key, "refresh_session", lambda: handle.refresh_session(refresh), own=False
        )

    async def revoked(self, unit, key):
        """End the session at the server, behind everybody's back."""
        world, session = self._world, unit.handle(key).session
        server = None if session is None else world.ledger.session_of(session.refresh_token)
        if server is not None:
            name = next(name for name, one in world.ledger.by_name.items() if one is server)
            world.server.revoke(name)
            world.server.forget_ended("an administrator")
            world.count("sessions revoked")

    async def replace_user(self, unit, key):
        """Put a new user object beside the tokens."""
        handle = unit.handle(key)
        session = handle.session
        if session is not None:
            await self._asking(
                unit, key, "replace_user", lambda: handle.replace_user(session, session.user)
            )

    # What they make of it.

    async def _asking(self, unit, key, verb, ask, *, own=True):
        """Ask; judge the error, if it is one, and return `None` for it."""
        world, handle = self._world, unit.handle(key)
        task = asyncio.current_task()
        session = handle.session if own else None
        begun = None if session is None else world.ledger.session_of(session.refresh_token)
        number = None if begun is None else begun.number
        world.asking[task] = (number, self._newest.get((unit.number, number)))
        try:
            return await ask()
        except asyncio.CancelledError:
            if task not in world.cancelled:
                world.hold("typed_error", f"{verb} raised CancelledError, and nobody cancelled it")
            raise
        except Exception as error:
            also = verb if verb != "sign_in" else "refresh_session"
            world.hold("typed_error", invariants.typed_error(also, error, closed=unit.closed))
            world.show(error)
            world.note(f"{unit.number} {verb} {type(error).__name__}")
            world.outcomes[type(error).__name__] += 1
            # Whoever has to sign in does so, sooner or later.
            over = isinstance(error, SignInRequired) and verb not in ("sign_in", "sign_out")
            if over and world.faulty and world.random.random() < 0.5:
                world.spawn_caller(unit, self.sign_in_once(unit, key), "sign_in_once")
            return None

    def judge_last(self, unit, key, token):
        """Look at a token that was got when all was well."""
        self._judge(unit, key, token)

    def _judge(self, unit, key, token, *, fresh=True):
        world, clock = self._world, unit.process.clock
        ends, number = world.ledger.access_tokens.get(token.value, (None, None))
        tolerance = world.server.tolerance if world.clocks_agree(unit.process) else None
        if fresh:
            broken = invariants.good_token(
                token,
                now=clock.now(),
                true_now=world.loop.now,
                ends=ends,
                tolerance=tolerance,
            )
            world.hold("good_token", broken)
        begun, newest = world.asking.get(asyncio.current_task(), (None, None))
        own = {one.number for one in world.ledger.sessions if one.key == key}
        world.hold("own_session", invariants.own_session(number, begun, own))
        if begun == number:
            world.hold("never_down", invariants.never_down(token.generation, newest))
        seen = self._newest.get((unit.number, number), 0)
        self._newest[unit.number, number] = max(seen, token.generation)
        world.note(f"{unit.number} {key} gets {token.generation}")
        world.show(token)


def _token_of(session):
    return AccessToken(
        value=session.access_token, expires_at=session.expires_at, generation=session.generation
    )
