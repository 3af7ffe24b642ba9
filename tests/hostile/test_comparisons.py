"""Every comparison that a secret may stand in is known, and none of them tells a stranger anything.

Read from the source by AST: `==`, `!=`, `in` and look-ups where a name on either side sounds like a
secret. Comparisons with a constant are none of them. What is not in the table fails: use
`hmac.compare_digest`, or say here why it need not be. The servers of `async_auth.testing` guard nothing.
"""

from __future__ import annotations

import ast
import inspect
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from jose.backends.cryptography_backend import CryptographyHMACKey

from async_auth.cli import token_endpoint
from async_auth.gotrue import callback
from async_auth.supertokens.backend import anti_csrf
from async_auth.web_sessions import signing

ROOT = Path(find_spec("async_auth").submodule_search_locations[0])

SOUNDS_SECRET = re.compile(
    r"(^|_| )(secret|token|password|state|nonce|verifier|csrf|signature|mac|digest|api_key|code"
    r"|authorization|rejected|refused|stated|cookie|bearer)s?(_|$| )"
)
LOOK_UPS = {"get", "pop", "setdefault", "index", "count", "startswith", "endswith"}

#: Why it does not matter how long a comparison takes.
OWN = "both are this program's own: no stranger gives either"
NAMED = "neither is a secret: it is a name, a status, a header or a setting"
SHOWN = "whoever gives it has it: the answer says nothing of anybody else's"
#: SipHash, with a key of this process: who does not know a token cannot come nearer to its hash, and
#: texts are compared only where all 64 bits of it agree.
HASHED = "looked up by a keyed hash of the whole"
KNOWN = {
    "cli/demo/scenario.py": {"server.counts[refused]": NAMED},
    "core/jwt/keys.py": {"stated == algorithm": NAMED},
    "core/web/outgoing.py": {"key_of_line(value) in self._cookies": NAMED},
    "engine/borrowed.py": {
        "rejected == self._session.access_token": OWN,
        "new.access_token == old.access_token": OWN,
    },
    "engine/broadcast.py": {"streams[token]": NAMED, "streams.pop(token, None)": NAMED},
    "engine/flight_desk.py": {
        "session.refresh_token == self.base.refresh_token": OWN,
        "session.refresh_token != self.base.refresh_token": OWN,
    },
    "engine/follower.py": {"rejected == session.access_token": OWN},
    "engine/handle.py": {"session.refresh_token == refresh_token": OWN},
    "engine/handout.py": {
        # The endpoint of `exec` hands one on, of whoever has shown its secret before.
        "session.access_token == rejected": OWN,
        "session.generation != refused": NAMED,
    },
    "engine/keeper.py": {
        "session.refresh_token in self._flights": OWN,
        "self._flights.get(refresh_token)": OWN,
        "self._flights.setdefault(refresh_token, flight)": OWN,
        "self._flights[token]": OWN,
        "flights[token]": OWN,
    },
    "engine/mender.py": {"found.refresh_token == session.refresh_token": OWN},
    "gotrue/failures.py": {"redact(code, secrets) == code": SHOWN},
    "integrations/aiohttp/client.py": {
        "authorization in headers": NAMED,
        "headers[authorization]": NAMED,
    },
    "integrations/aiohttp/server.py": {"request.cookies.get(cookie)": NAMED},
    "integrations/starlette/jwt.py": {"connection.cookies.get(cookie)": NAMED},
    "supertokens/backend/by_token.py": {
        "info.dynamic_key != self.settings.use_dynamic_access_token_signing_key": NAMED
    },
    "supertokens/backend/known_tokens.py": {
        "self._known.get(token)": HASHED,
        "self._known.pop(token, None)": HASHED,
        "self._known[token]": HASHED,
    },
    "supertokens/backend/session.py": {"self._first == token": OWN},
    "supertokens/backend/settings.py": {
        "self.session_expired_status_code == self.invalid_claim_status_code": NAMED
    },
    "supertokens/client/exchange.py": {
        "refused == current.access_token": OWN,
        "token.value == refused": OWN,
        "stated == f'Bearer {session.access_token}'": OWN,
    },
    "supertokens/client/responses.py": {"name in cookies": NAMED},
    "supertokens/client/sessions.py": {"told.anti_csrf != anti_csrf_of(session)": OWN},
    "supertokens/client/settings.py": {
        "session_expired_status_code == invalid_claim_status_code": NAMED
    },
    "web_sessions/ending.py": {
        "one.access_token == other.access_token": OWN,
        "one.refresh_token == other.refresh_token": OWN,
    },
}


def name_of(node):
    """Return what an expression is called: its last name, or those in a formatted text."""
    match node:
        case ast.Call():
            # Of a function of our own also what it is given: `digest_of(token)`.
            return " ".join([name_of(node.func), *map(name_of, node.args)])
        case ast.Attribute():
            return node.attr
        case ast.Name():
            return node.id
        case ast.JoinedStr():
            values = [one.value for one in node.values if isinstance(one, ast.FormattedValue)]
            return " ".join(map(name_of, values))
    return ""


def is_constant(node):
    """Say whether an expression is written down in the source."""
    match node:
        case ast.Constant():
            return True
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name.lstrip("_").isupper()
        case ast.Tuple() | ast.Set() | ast.List():
            return all(map(is_constant, node.elts))
    return False


def is_secret(*nodes):
    """Say whether one of some expressions sounds like a secret, and none is a constant."""
    return not any(map(is_constant, nodes)) and any(
        SOUNDS_SECRET.search(name_of(node)) for node in nodes
    )


def comparisons_in(tree):
    """Yield every comparison and look-up in which a secret may stand."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others, ops=ops):
                kinds = ast.Eq | ast.NotEq | ast.In | ast.NotIn
                if any(isinstance(op, kinds) for op in ops) and is_secret(left, *others):
                    yield ast.unparse(node)
            case ast.Subscript(slice=ast.Name() | ast.Attribute() as key) if is_secret(key):
                yield ast.unparse(node)
            case ast.Call(func=ast.Attribute(attr=verb), args=[key, *_]) if verb in LOOK_UPS:
                if is_secret(key):
                    yield ast.unparse(node)


def found():
    """Return every such comparison of the package, by its file."""
    files = {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "testing"
    }
    return {
        (file, comparison) for file, tree in files.items() for comparison in comparisons_in(tree)
    }


def test_every_comparison_of_a_secret_is_known():
    """Each has its reason in the table, and the table has no other."""
    known = {(file, comparison) for file, rows in KNOWN.items() for comparison in rows}

    assert set() == found() - known
    assert set() == known - found()


@pytest.mark.parametrize(
    "source",
    [
        "if given_state == state: pass",
        "if self.secret != text: pass",
        "known = text in self.tokens",
        "if header == f'Bearer {self.secret}': pass",
        "session = self.by_token[token]",
        "session = self.sessions.get(request.token)",
        "if digest_of(token) == stored: pass",
        "if text.startswith(self.csrf_token): pass",
    ],
)
def test_a_new_comparison_is_found(source):
    """However it is written."""
    assert [] != list(comparisons_in(ast.parse(source)))


@pytest.mark.parametrize(
    "function",
    [
        callback._same,  # noqa: SLF001 - the place where it happens
        token_endpoint._Door._refusal,  # noqa: SLF001
        anti_csrf.is_same,
        signing.Signer.read,
        CryptographyHMACKey.verify,
    ],
    ids=lambda function: f"{function.__module__}.{function.__qualname__}",
)
def test_where_a_stranger_meets_a_secret_the_time_is_constant(function):
    """State, the secret of `exec`, anti-CSRF tokens, cookies, and HMACs of JWTs."""
    source = inspect.getsource(function)

    assert "compare_digest(" in source or ".verify(signature)" in source or "h.verify(" in source
