"""The command line, `async-auth`. It needs the extra: `pip install "async_auth[cli]"`."""
