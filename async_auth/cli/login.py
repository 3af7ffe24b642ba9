"""`async-auth login`: signs in, keeps the session, and remembers server and account in a profile."""

from __future__ import annotations

import time
from typing import Any

import attrs
import click
from rich.text import Text

from async_auth.cli import asking, exit_codes, running, sign_in, words
from async_auth.cli.clients import make_client
from async_auth.cli.keeping import Choice, choose, open_store, place_of
from async_auth.cli.login_plan import Wishes, names_no_server, plan
from async_auth.cli.options import Seconds, json_option, profile_option
from async_auth.cli.output import console, hang, label, print_json
from async_auth.cli.profile import Profile
from async_auth.cli.profile_file import change_profiles, prepare, read_profiles
from async_auth.cli.standing import standing_of, user_of
from async_auth.errors import AuthError
from async_auth.session import Session, Status

EXAMPLES = """\b
Examples:
  async-auth login --url https://x.supabase.co/auth/v1 --api-key ANON_KEY
  async-auth login                          # asks for what it does not know
  async-auth login --otp                    # a code by mail or text message
  async-auth login --browser github         # with your own browser
  async-auth login --supertokens https://api.example.com --email a@example.com
  async-auth login --password-stdin < file  # where nobody can be asked
  async-auth login --profile work --url …   # a second server or account
"""
#: Seconds that somebody may take in the browser.
PATIENCE = 300.0


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@click.option("--url", help="GoTrue: its auth root, https://x.supabase.co/auth/v1.")
@click.option(
    "--api-key", help="GoTrue: the public key (anon, sb_publishable_…); kept in the profile."
)
@click.option("--supertokens", metavar="URL", help="SuperTokens: scheme and host of the API.")
@click.option("--base-path", help="SuperTokens: the path of its routes.  [default: /auth]")
@click.option(
    "--sign-in-path",
    metavar="PATH",
    help="SuperTokens: the API's own sign-in route; it gets email and password as JSON.",
)
@click.option("--email", help="Who signs in.")
@click.option("--phone", help="The same, by number.")
@click.option("--password-stdin", is_flag=True, help="The password is the first line of stdin.")
@click.option("--otp", is_flag=True, help="Have a code sent, and ask for it.")
@click.option("--browser", metavar="PROVIDER", help="Sign in with your browser: github, google, …")
@click.option("--no-open", is_flag=True, help="Print the browser's address; do not open it.")
@click.option(
    "--timeout",
    type=Seconds(min=1),
    default=PATIENCE,
    show_default=True,
    help="Seconds to wait for the browser.",
)
@click.option(
    "--keep",
    type=click.Choice(["auto", "keyring", "file"]),
    help="Where the session is kept; auto is the keyring if it works here, else a file.  "
    "[default: auto; file if it was there before]",
)
@profile_option
@json_option
def login(
    *,
    password_stdin: bool,
    no_open: bool,
    timeout: float,
    keep: str | None,
    profile: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """
    Sign in, and keep the session.

    Passwords and codes are asked for, or read from stdin; they are no arguments, which every
    program of the machine could see. A sign-in that fails changes nothing.
    """
    wishes = Wishes(profile=profile, keep=keep, **options)  # type: ignore[arg-type]  # click has checked the choice
    before = read_profiles()
    if names_no_server(before, wishes) and (told := asking.server(wishes.api_key)) is not None:
        wishes = attrs.evolve(wishes, url=told[0], api_key=told[1])
    planned = plan(before, wishes)
    prepare()
    former = before.profiles.get(planned.name)
    choice = running.run(choose(wishes.place(former), planned.name))
    planned = attrs.evolve(planned, keep=choice.keep)
    make_client(planned, choice.store)  # a wrong address is told before anybody types a password
    planned, session = enter(
        planned, choice, wishes, from_stdin=password_stdin, open_it=not no_open, patience=timeout
    )
    change_profiles(lambda known: known.with_profile(planned))
    forget_elsewhere(former, planned)
    if as_json:
        print_json(facts(planned, choice, session))
    else:
        out = console()
        for head, body in rows(planned, choice, session):
            out.print(hang(out, head, body))


def enter(
    profile: Profile,
    choice: Choice,
    wishes: Wishes,
    *,
    from_stdin: bool,
    open_it: bool,
    patience: float,
) -> tuple[Profile, Session]:
    """Ask for what is needed and sign in; returns the profile with who that was."""
    store = choice.store
    if wishes.way == "browser":
        assert wishes.browser is not None  # noqa: S101 - tells the type checker
        session = running.run(
            sign_in.with_browser(
                profile, store, provider=wishes.browser, open_it=open_it, timeout=patience
            )
        )
        who = user_of(session) or ""
        return attrs.evolve(profile, account=who if "@" in who else profile.account), session
    account = profile.account or asking.account()
    profile = attrs.evolve(profile, account=account)
    if wishes.way == "otp":
        running.run(sign_in.send_code(profile, store, account=account))
        # Between two event loops: while one runs, Ctrl-C would not end a prompt.
        code = asking.code(account)
        return profile, running.run(sign_in.with_code(profile, store, account=account, code=code))
    password = asking.password(from_stdin=from_stdin)
    if profile.kind == "supertokens":
        entering = sign_in.at_supertokens(
            profile, store, account=account, password=password, path=profile.sign_in_path
        )
    else:
        entering = sign_in.with_password(profile, store, account=account, password=password)
    return profile, running.run(entering)


def forget_elsewhere(before: Profile | None, now: Profile) -> None:
    """Remove what the profile's former store holds: nobody looks there any more."""
    if before is None or before.keep == now.keep:
        return
    try:
        running.run(open_store(before.keep).delete(before.name, expected=None))
    except AuthError as error:
        click.echo(f"The older session stays in the {before.keep}: {error}", err=True)


def facts(profile: Profile, choice: Choice, session: Session) -> dict[str, Any]:
    """Return what came of it, for JSON; no token."""
    standing = standing_of(session, Status.FRESH, now=time.time())
    return {
        "profile": profile.name,
        "kind": profile.kind,
        "url": profile.url,
        "user": standing.user,
        "expires_at": standing.expires_at,
        "refreshable": standing.refreshable,
        "kept_in": {
            "store": choice.keep,
            "place": place_of(choice.store),
            "because": choice.because or None,
        },
    }


def rows(profile: Profile, choice: Choice, session: Session) -> list[tuple[Text, Text]]:
    """Return what came of it, for people: what stands at the left, and what is said."""
    standing = standing_of(session, Status.FRESH, now=time.time())
    lines = [
        (Text(), Text(words.headline(profile, standing), style="bold")),
        (label("token"), Text(words.token_text(session))),
        (label("kept in"), Text(place_of(choice.store))),
    ]
    if choice.because:
        lines.append((label(""), Text(choice.because, style="dim")))
    return lines
