"""The calls of the CDI: their fields read as strictly as the core does, and handed to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from async_auth.testing.supertokens.access_tokens import protected_claims
from async_auth.testing.supertokens.answers import Json, Refused
from async_auth.testing.supertokens.core import Core, Wish
from async_auth.testing.supertokens.versions import CdiVersion


@attrs.frozen(kw_only=True)
class Call:
    """
    One request that has passed the checks of key and version.

    Args:
        core: What it is about.
        version: The CDI version that it speaks.
        tenant_id: Out of the path.
        query: The query's parameters.
        body: The body, unread.
        now: When it came, unix seconds.
    """

    core: Core
    version: CdiVersion
    tenant_id: str
    query: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    now: float

    def form(self) -> Form:
        """Return the body's JSON object, or refuse."""
        try:
            members = json.loads(self.body)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise Refused(400, "Invalid Json Input")
        return Form(members)

    def parameter(self, name: str) -> str:
        """Return a parameter that the query must have."""
        if name not in self.query:
            raise Refused(400, f"Field name '{name}' is missing in GET request")
        return self.query[name]


@attrs.frozen
class Form:
    """The members of a body. `null` is a member that is not there."""

    _members: dict[str, Any] = attrs.field(repr=False)

    def _read(self, name: str, kind: type) -> Any:
        value = self._members.get(name)
        # In JSON, unlike in Python, a boolean is no number.
        is_kind = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if value is not None and not is_kind:
            raise _invalid(name)
        return value

    def _must(self, name: str, kind: type) -> Any:
        value = self._read(name, kind)
        if value is None:
            raise _invalid(name)
        return value

    def text(self, name: str) -> str:
        """Return text that must be there."""
        value: str = self._must(name, str)
        return value

    def optional_text(self, name: str) -> str | None:
        """Return text that may be there."""
        value: str | None = self._read(name, str)
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean that must be there."""
        value: bool = self._must(name, bool)
        return value

    def optional_flag(self, name: str) -> bool | None:
        """Return a boolean that may be there."""
        value: bool | None = self._read(name, bool)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object that must be there."""
        value: dict[str, Any] = self._must(name, dict)
        return value

    def optional_mapping(self, name: str) -> dict[str, Any] | None:
        """Return an object that may be there."""
        value: dict[str, Any] | None = self._read(name, dict)
        return value

    def optional_number(self, name: str) -> int | None:
        """Return a whole number that may be there."""
        value: int | None = self._read(name, int)
        return value

    def optional_texts(self, name: str) -> list[str] | None:
        """Return an array of texts that may be there."""
        value: list[str] | None = self._read(name, list)
        if value is not None and not all(isinstance(one, str) for one in value):
            raise _invalid(name)
        return value


def _invalid(name: str) -> Refused:
    return Refused(400, f"Field name '{name}' is invalid in JSON input")


def _unprotected(payload: dict[str, Any], version: CdiVersion) -> dict[str, Any]:
    """Return the payload, or refuse one that has claims of the core's."""
    if protected_claims(version.token_version) & set(payload):
        raise Refused(400, "The user payload contains protected field")
    return payload


def _lifetime(call: Call, form: Form) -> float | None:
    if not call.version.rotates_in_refresh:
        return None
    wanted = form.optional_number("accessTokenValidity")
    longest = round(call.core.settings.access_token_validity * 1000)
    if wanted is not None and not 0 < wanted <= longest:
        raise Refused(
            400,
            "accessTokenValidity must be greater than 0 and at most the configured "
            f"access_token_validity ({longest} ms)",
        )
    return None if wanted is None else wanted / 1000


def create(call: Call) -> Json:
    """POST /recipe/session."""
    form = call.form()
    user_id, anti_csrf = form.text("userId"), form.flag("enableAntiCsrf")
    payload, data = form.mapping("userDataInJWT"), form.mapping("userDataInDatabase")
    return call.core.create(
        call.version,
        user_id,
        payload=_unprotected(payload, call.version),
        data=data,
        tenant_id=call.tenant_id,
        wish=Wish(
            anti_csrf=anti_csrf,
            static_key=form.optional_flag("useDynamicSigningKey") is False,
            lifetime=_lifetime(call, form),
        ),
        now=call.now,
    )


def information(call: Call) -> Json:
    """GET /recipe/session."""
    return call.core.information(call.version, call.parameter("sessionHandle"), now=call.now)


def verify(call: Call) -> Json:
    """POST /recipe/session/verify."""
    form = call.form()
    token, anti_csrf = form.text("accessToken"), form.optional_text("antiCsrfToken")
    check_anti_csrf = form.flag("doAntiCsrfCheck") & form.flag("enableAntiCsrf")
    # Up to CDI 2.20 the core's configuration said whether to look into the database.
    check_database = not call.version.has_handshake and form.flag("checkDatabase")
    return call.core.verify(
        call.version,
        token,
        anti_csrf=anti_csrf,
        check_anti_csrf=check_anti_csrf,
        check_database=check_database,
        now=call.now,
    )


def refresh(call: Call) -> Json:
    """POST /recipe/session/refresh."""
    form = call.form()
    token, anti_csrf = form.text("refreshToken"), form.optional_text("antiCsrfToken")
    enabled = form.flag("enableAntiCsrf")
    kind = "useDynamicSigningKey"
    dynamic = form.flag(kind) if call.version.wants_key_kind else form.optional_flag(kind)
    return call.core.refresh(
        call.version,
        token,
        anti_csrf=anti_csrf,
        wish=Wish(
            anti_csrf=enabled,
            static_key=None if dynamic is None else not dynamic,
            lifetime=_lifetime(call, form),
        ),
        now=call.now,
    )


def regenerate(call: Call) -> Json:
    """POST /recipe/session/regenerate."""
    form = call.form()
    token, payload = form.text("accessToken"), form.optional_mapping("userDataInJWT")
    if payload is not None:
        payload = _unprotected(payload, call.version)
    return call.core.regenerate(call.version, token, payload, now=call.now)


def remove(call: Call) -> Json:
    """POST /recipe/session/remove."""
    form = call.form()
    user_id, handles = form.optional_text("userId"), form.optional_texts("sessionHandles")
    if (user_id is None) == (handles is None):
        raise Refused(400, "Invalid JSON input - use one of userId or sessionHandles array")
    everywhere = form.optional_flag("revokeAcrossAllTenants")
    if user_id is not None:
        tenant_id = call.tenant_id if everywhere is False else None
        handles = call.core.handles(user_id, tenant_id, now=call.now)
    elif everywhere is not None:
        raise Refused(
            400, "Invalid JSON input - revokeAcrossAllTenants can only be set if userId is set"
        )
    removed = call.core.remove(handles or (), now=call.now)
    return {"status": "OK", "sessionHandlesRevoked": removed}


def handles(call: Call) -> Json:
    """GET /recipe/session/user."""
    user_id = call.parameter("userId")
    here_only = call.query.get("fetchAcrossAllTenants", "true").lower() == "false"
    found = call.core.handles(user_id, call.tenant_id if here_only else None, now=call.now)
    return {"status": "OK", "sessionHandles": found}


def put_data(call: Call) -> Json:
    """PUT /recipe/session/data."""
    form = call.form()
    handle, data = form.text("sessionHandle"), form.mapping("userDataInDatabase")
    return call.core.change(handle, data=data, now=call.now)


def put_payload(call: Call) -> Json:
    """PUT /recipe/jwt/data."""
    form = call.form()
    handle, payload = form.text("sessionHandle"), form.mapping("userDataInJWT")
    return call.core.change(handle, payload=_unprotected(payload, call.version), now=call.now)


def jwks(call: Call) -> Json:
    """GET /recipe/jwt/jwks."""
    return {**call.core.jwks(call.now), "status": "OK"}


def handshake(call: Call) -> Json:
    """POST /recipe/handshake, which is not there any more from CDI 2.21."""
    if not call.version.has_handshake:
        raise Refused(404, "Not found")
    call.form()
    return call.core.handshake(call.now)


Handler = Callable[[Call], Json]

#: The calls by path and method. A tenant's name may stand before each path.
CALLS: Mapping[str, Mapping[str, Handler]] = {
    "/recipe/session": {"POST": create, "GET": information},
    "/recipe/session/verify": {"POST": verify},
    "/recipe/session/refresh": {"POST": refresh},
    "/recipe/session/regenerate": {"POST": regenerate},
    "/recipe/session/remove": {"POST": remove},
    "/recipe/session/user": {"GET": handles},
    "/recipe/session/data": {"PUT": put_data},
    "/recipe/jwt/data": {"PUT": put_payload},
    "/recipe/jwt/jwks": {"GET": jwks},
    "/recipe/handshake": {"POST": handshake},
}
