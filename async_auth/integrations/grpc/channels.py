"""Channels of `grpc.aio` with our interceptors; made here, because an interceptor sees no channel.

It promises that a channel which is not encrypted ends on this machine, unless that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError
from async_auth.integrations.grpc.interceptors import bearer
from async_auth.integrations.refusals import TokenSource

#: Schemes of a target whose connections cannot leave the machine.
LOCAL = ("unix:", "unix-abstract:")
#: Schemes of a target that are followed by addresses, several of them with commas between.
ADDRESSES = ("ipv4:", "ipv6:")


def secure_channel(
    manager: TokenSource,
    target: str,
    credentials: grpc.ChannelCredentials,
    *,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    **options: Any,
) -> grpc.aio.Channel:
    """
    Make a `grpc.aio.secure_channel` whose calls carry the manager's token.

    Safe for concurrent calls. A call that has `authorization` in its metadata, or `credentials`
    of its own, is left alone. The calls themselves raise what `get_token` raises, before anything is sent:
    SignInRequired, TemporaryError or ManagerClosed; their `timeout` includes the wait for a
    token. After UNAUTHENTICATED they raise only what is not a TemporaryError; otherwise
    UNAUTHENTICATED is the answer.

    An answer that is a stream is handed over with its first message, for until then the call may
    be made again. A stream of requests is never sent twice: the token is refreshed for the next
    call.

    Args:
        manager: Where tokens come from.
        target: As in `grpc.aio.secure_channel`.
        credentials: How the channel is encrypted, such as `grpc.ssl_channel_credentials()`.
        interceptors: Yours; they come before ours, so they see each call once, without a token.
        options: Passed on: `options`, `compression`.
    """
    chain = [*interceptors, *bearer(manager)]
    return grpc.aio.secure_channel(target, credentials, interceptors=chain, **options)


def insecure_channel(
    manager: TokenSource,
    target: str,
    *,
    allow_insecure: bool = False,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    **options: Any,
) -> grpc.aio.Channel:
    """
    Make a `grpc.aio.insecure_channel` whose calls carry the manager's token.

    Everything is as in `secure_channel`, but for the encryption. To a target on this machine it
    uses no proxy.

    Args:
        manager: Where tokens come from.
        target: As in `grpc.aio.insecure_channel`; a loopback address or a Unix socket.
        allow_insecure: Let the token travel unencrypted to targets that are elsewhere.
        interceptors: Yours; they come before ours.
        options: Passed on: `options`, `compression`.

    Raises:
        ConfigurationError: The *target* may be elsewhere.
    """
    settings = list(options.pop("options", None) or ())
    if stays_here(target):
        # Otherwise gRPC would go through the proxy of the environment, wherever that is.
        settings.insert(0, ("grpc.enable_http_proxy", 0))
    elif not allow_insecure:
        raise ConfigurationError(
            f"target: {target} would receive the token unencrypted; use secure_channel, or say "
            "allow_insecure=True."
        )
    chain = [*interceptors, *bearer(manager)]
    return grpc.aio.insecure_channel(target, interceptors=chain, options=settings, **options)


def stays_here(target: str) -> bool:
    """Say whether all of a gRPC *target* is on this machine; of what we do not know, it is not."""
    target = unquote(target)
    if target.startswith(LOCAL):
        return True
    if target.startswith(ADDRESSES):
        return all(is_loopback(host_of(each)) for each in target[len("ipv4:") :].split(","))
    if target.startswith("dns:"):
        # `dns://resolver/host:port`; without a resolver nothing stands between the slashes.
        target = target.removeprefix("dns:").rpartition("/")[2]
    return is_loopback(host_of(target))


def host_of(address: str) -> str:
    """Return the host of `host:port`, `[host]:port` or `host`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    # An IPv6 address may stand there without brackets, and then without a port.
    return address if address.count(":") > 1 else address.partition(":")[0]
