"""The pages that the user's browser shows at the end of a sign-in. Pure.

Each stands alone: no other resource, no link, no secret, and whatever somebody else wrote is
escaped. The code does not stay in the address bar nor go anywhere as a referrer, and no cache
keeps anything.
"""

from __future__ import annotations

import html
import json
from http import HTTPStatus

import attrs

from async_auth.errors import ApiError, AuthError, ManagerClosed, SignInRequired, TemporaryError
from async_auth.gotrue.failures import REDIRECT_MEMBERS
from async_auth.loopback import Reply

_STYLE = """
:root { color-scheme: light dark;
  --back: #f2f4f7; --card: #fff; --line: #dfe3ea; --text: #1a2230; --soft: #566071;
  --good: #157347; --good-back: #def3e7; --bad: #b3261e; --bad-back: #fbe4e2;
  --calm: #2f5fb3; --calm-back: #e2ebfa }
@media (prefers-color-scheme: dark) { :root {
  --back: #10141b; --card: #191f29; --line: #2c3543; --text: #e9edf3; --soft: #a3aebd;
  --good: #6fd6a0; --good-back: #16382a; --bad: #ff9c92; --bad-back: #43201f;
  --calm: #9cbcf5; --calm-back: #1d2f50 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif }
main { width: 100%; max-width: 27rem; padding: 2.5rem 2.25rem; text-align: center;
  background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
  box-shadow: 0 1px 2px rgb(0 0 0 / 5%), 0 12px 32px rgb(0 0 0 / 8%) }
svg { width: 4.25rem; height: 4.25rem; padding: 1rem; border-radius: 50%; fill: none;
  stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round }
.good svg { color: var(--good); background: var(--good-back) }
.bad svg { color: var(--bad); background: var(--bad-back) }
.calm svg { color: var(--calm); background: var(--calm-back) }
h1 { margin: 1.25rem 0 .5rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.01em }
p { margin: .5rem 0 0; color: var(--soft); overflow-wrap: anywhere; text-wrap: balance }
.said { margin-top: 1.25rem; padding: .75rem 1rem; text-align: start; text-wrap: wrap;
  font-size: .9rem; color: var(--text); background: var(--back); border: 1px solid var(--line);
  border-radius: .6rem }
code { display: block; margin-top: .25rem; color: var(--soft);
  font: .8rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
"""

_MARKS = {
    "good": '<path d="m4 12.5 5.3 5.3L20 7"/>',
    "bad": '<path d="m5.5 5.5 13 13M18.5 5.5l-13 13"/>',
    "calm": '<path d="M12 4v9.5M12 19v.01"/>',
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<style nonce="{nonce}">{style}</style></head>
<body><main class="{mood}"><svg viewBox="0 0 24 24" aria-hidden="true">{mark}</svg>
<h1>{title}</h1>
<p>{text}</p>
{said}</main><script nonce="{nonce}">{script}</script></body></html>
"""

#: Takes the code out of the address bar and out of the history.
_TIDY = 'history.replaceState(null, "", location.pathname);'

#: Tells us of the fragment what we may know, under the state that the page was asked for with.
_LOOK = """
const names = NAMES;
const told = new URLSearchParams(location.hash.slice(1));
const answer = new URLSearchParams(
  { state: new URLSearchParams(location.search).get("state") });
for (const name of names)
  if (told.has(name)) answer.set(name, told.get(name).slice(0, 1000));
if (!names.some((name) => told.has(name)))
  answer.set("fragment", told.has("access_token") ? "tokens" : "nothing");
location.replace(location.pathname + "?" + answer);
""".replace("NAMES", json.dumps(REDIRECT_MEMBERS))


@attrs.frozen(kw_only=True)
class Page:
    """
    What a page says.

    Args:
        title: In two or three words.
        text: What it means for the user, and what to do.
        mood: `good`, `bad` or `calm`.
        status: The status that it is sent with.
        said: What somebody else said of it.
        code: Their word for it.
        script: What the page does.
    """

    title: str
    text: str
    mood: str = "bad"
    status: HTTPStatus = HTTPStatus.BAD_REQUEST
    said: str = ""
    code: str | None = None
    script: str = _TIDY

    def reply(self, nonce: str) -> Reply:
        """
        Return it as it is sent.

        Args:
            nonce: Random base64url, by which the page's own style and script are known.
        """
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        body = _PAGE.format(
            title=html.escape(self.title),
            text=html.escape(self.text),
            mood=self.mood,
            mark=_MARKS[self.mood],
            said=_said(self.said, self.code),
            nonce=nonce,
            style=_STYLE,
            script=self.script,
        )
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        return Reply(status=self.status, headers=headers, body=body.encode("utf-8", "replace"))


def _said(text: str, code: str | None) -> str:
    if not text:
        return ""
    named = "" if code is None else f"<code>{html.escape(code)}</code>"
    return f'<p class="said">{html.escape(text)}{named}</p>\n'


DONE = Page(
    title="You are signed in",
    text="You can close this page and go back to your program.",
    mood="good",
    status=HTTPStatus.OK,
)
STOPPED = Page(
    title="Not signed in",
    text="The program has stopped waiting for this sign-in. Begin again there if you still want "
    "to sign in.",
)
STRANGER = Page(
    title="Nothing was changed",
    text="This address does not belong to the sign-in that the program here waits for. If you "
    "have just signed in, begin again in the program.",
    mood="calm",
)
NOWHERE = Page(
    title="Nothing here",
    text="There is no such page.",
    mood="calm",
    status=HTTPStatus.NOT_FOUND,
)
LOOKING = Page(
    title="One moment",
    text="The answer is being read. If this page stays, your browser does not run its script: "
    "then begin again in the program, with another browser.",
    mood="calm",
    status=HTTPStatus.OK,
    script=_LOOK,
)


def failed(error: BaseException) -> Page:
    """Return the page that says what went wrong."""
    match error:
        case ApiError(code="access_denied"):
            text = "Access was not granted. You can begin again in your program."
        case ApiError():
            text = "The sign-in was refused. You can begin again in your program."
        case TemporaryError():
            text = "It could not be done for now. Begin again in your program in a while."
        case ManagerClosed():
            return STOPPED
        case SignInRequired(code="sign_in_timeout"):
            text = "It took too long. You can begin again in your program."
        case AuthError():
            text = "The sign-in could not be finished. Your program says more."
        case Exception():
            # A stranger's error may hold anything.
            text = "Something went wrong in your program."
            return Page(title="Not signed in", text=text)
        case _:
            return STOPPED
    return Page(title="Not signed in", text=text, said=error.message, code=error.code)
