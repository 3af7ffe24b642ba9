"""What you need to test code that uses this library, and what our own tests use.

Each name is loaded when it is first asked for: the pytest plugin of this package is imported by
every pytest run of everybody who has the library installed.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from async_auth.testing.event_recorder import EventRecorder
    from async_auth.testing.fault_proxy import FaultProxy
    from async_auth.testing.gotrue_server import GoTrueServer
    from async_auth.testing.manual_clock import ManualClock
    from async_auth.testing.memory_keyring import MemoryKeyring
    from async_auth.testing.scripted_transport import ScriptedTransport
    from async_auth.testing.supertokens_core_server import SuperTokensCoreServer
    from async_auth.testing.web3.wallets import EthereumWallet, SolanaWallet
    from async_auth.testing.webauthn.authenticator import SoftwareAuthenticator

__all__ = [
    "EthereumWallet",
    "EventRecorder",
    "FaultProxy",
    "GoTrueServer",
    "ManualClock",
    "MemoryKeyring",
    "ScriptedTransport",
    "SoftwareAuthenticator",
    "SolanaWallet",
    "SuperTokensCoreServer",
]

_HOMES = {
    "EthereumWallet": "async_auth.testing.web3.wallets",
    "EventRecorder": "async_auth.testing.event_recorder",
    "FaultProxy": "async_auth.testing.fault_proxy",
    "GoTrueServer": "async_auth.testing.gotrue_server",
    "ManualClock": "async_auth.testing.manual_clock",
    "MemoryKeyring": "async_auth.testing.memory_keyring",
    "ScriptedTransport": "async_auth.testing.scripted_transport",
    "SoftwareAuthenticator": "async_auth.testing.webauthn.authenticator",
    "SolanaWallet": "async_auth.testing.web3.wallets",
    "SuperTokensCoreServer": "async_auth.testing.supertokens_core_server",
}


def __getattr__(name: str) -> typing.Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
