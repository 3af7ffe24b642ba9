"""What you need to test code that uses this library, and what our own tests use.

Each name is loaded when it is first asked for: the pytest plugin of this package is imported by
every pytest run of everybody who has the library installed.
"""

from __future__ import annotations

import typing

from async_auth import lazy

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

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = lazy.exports(
        __name__,
        {
            "EthereumWallet": "web3.wallets",
            "EventRecorder": "event_recorder",
            "FaultProxy": "fault_proxy",
            "GoTrueServer": "gotrue_server",
            "ManualClock": "manual_clock",
            "MemoryKeyring": "memory_keyring",
            "ScriptedTransport": "scripted_transport",
            "SoftwareAuthenticator": "webauthn.authenticator",
            "SolanaWallet": "web3.wallets",
            "SuperTokensCoreServer": "supertokens_core_server",
        },
    )
