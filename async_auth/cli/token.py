"""`async-auth token`: a valid access token on stdout, and nothing else.

However many of these run at once, one of them refreshes: they share the store and its lock.
"""

from __future__ import annotations

import click

from async_auth.cli import exit_codes, running
from async_auth.cli.clients import Opened, is_kept, open_profile
from async_auth.cli.options import Seconds, json_option, profile_option
from async_auth.cli.output import print_json
from async_auth.session import AccessToken

EXAMPLES = """\b
Examples:
  curl -H "Authorization: Bearer $(async-auth token)" https://api.example.com
  async-auth token --min-ttl 300 > token.txt
  async-auth token --json | jq -r .expires_at
"""


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@click.option(
    "--min-ttl",
    type=Seconds(min=0),
    help="Seconds that the token shall be good for; at most half its whole life.",
)
@profile_option
@json_option
def token(*, min_ttl: float | None, profile: str | None, as_json: bool) -> None:
    """
    Print a valid access token and nothing else.

    One that is about to expire is refreshed first. Any number of these may run at once: they
    share one refresh. While the server is away, a token that is still good is printed.
    """
    opened = open_profile(profile)
    access = running.run(fetch(opened, min_ttl=min_ttl))
    if as_json:
        print_json(
            {
                "access_token": access.value,
                "token_type": access.token_type,
                "expires_at": access.expires_at,
            }
        )
    else:
        click.echo(access.value)


async def fetch(opened: Opened, *, min_ttl: float | None) -> AccessToken:
    """
    Return a token that is good now.

    Raises:
        SignInRequired: Nobody is signed in, or the server ended the session.
        TemporaryError: It has expired, and no new one can be had for now.
        StoreError: The session cannot be read.
    """
    async with opened.client as client:
        access = await client.get_token(min_ttl=min_ttl)
        if not await is_kept(opened):
            # The token is good, and for its caller all is well; but it may be the last one.
            click.echo(f"Warning: the session could not be kept in {opened.place}.", err=True)
        return access
