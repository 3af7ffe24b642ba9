"""Notebooks and IPython: `login()` signs in from a cell, `%auth status` shows what is there.

    from async_auth.integrations.ipython import login

    auth = await login("https://x.supabase.co/auth/v1", api_key)

The session is kept in the user's own folder, so that the same cell signs nobody in again after a
kernel has been restarted. `%load_ext async_auth.integrations.ipython` brings the magic. Clients,
managers, streams, pools and sessions show themselves as the last value of a cell without any of
this, wherever HTML is shown.
"""

from __future__ import annotations

try:
    from async_auth.integrations.ipython.magic import (
        AuthMagics,
        load_ipython_extension,
        unload_ipython_extension,
    )
    from async_auth.integrations.ipython.signing_in import login
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "IPython":
        raise
    raise ImportError(
        "async_auth.integrations.ipython needs IPython: pip install 'async_auth[ipython]'."
    ) from None

__all__ = ["AuthMagics", "load_ipython_extension", "login", "unload_ipython_extension"]
