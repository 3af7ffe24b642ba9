"""The example of docs/scale.md with several Redis servers, on two real ones."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from async_auth.gotrue import GoTrueClient
from async_auth.testing import GoTrueServer

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
#: What is shown, and what is not, in order.
BLOCK = re.compile(r"^(?:```python|<!-- python)\n(.*?)^(?:```|-->)$", re.MULTILINE | re.DOTALL)
AUTH_URL = "https://your-project.supabase.co/auth/v1"
NODE = re.compile(r"redis://redis-(\d)\.internal:6379/0")


async def test_many_servers_chosen_by_the_key(new_server):
    """Each user's session is on one node only, and is handed out from there."""
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index("### Over many Redis nodes") :]
    section = section[: section.index("\n### ", 10)]
    servers = [new_server(), new_server()]
    for server in servers:
        server.start()
    names = {}
    async with GoTrueServer() as auth:
        names["sign_in"] = sessions_of = {}
        for name in ("ada", "grace", "alan", "edsger"):
            email, password = f"{name}@example.com", "correct-horse-battery"
            auth.create_user(email=email, password=password)
            async with GoTrueClient(auth.url) as client:
                answer = await client.sign_in_with_password(email=email, password=password)
                sessions_of[name] = answer.session
        names["sign_in"] = sessions_of.__getitem__
        blocks = BLOCK.findall(section)
        assert len(blocks) >= 4
        for source in blocks:
            code = NODE.sub(lambda match: servers[int(match[1])].url, source)
            code = code.replace(AUTH_URL, auth.url)
            compiled = compile(code, PAGE, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if compiled.co_flags & inspect.CO_COROUTINE:
                await eval(compiled, names)  # noqa: S307 - the page is ours
            else:
                exec(compiled, names)  # noqa: S102 - the same

    assert names["token"].value
