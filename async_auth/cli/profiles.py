"""`async-auth profiles`: which there are, which one is meant, and how one is forgotten."""

from __future__ import annotations

import attrs
import click

from async_auth.cli import exit_codes, running
from async_auth.cli.keeping import open_store, short
from async_auth.cli.options import complete_profile, json_option
from async_auth.cli.output import print_json, spare_the_encoding
from async_auth.cli.profile import Profile, Profiles
from async_auth.cli.profile_file import change_profiles, profiles_path, read_profiles
from async_auth.errors import ConfigurationError

EXAMPLES = """\b
Examples:
  async-auth profiles
  async-auth profiles use work
  async-auth profiles remove old
"""


@click.group(invoke_without_command=True, epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@json_option
@click.pass_context
def profiles(ctx: click.Context, *, as_json: bool) -> None:
    """
    List the profiles.

    A profile is a server, an account and where its session is kept. `login --profile NAME` makes
    it. They are in a file that holds no secret; its place is printed.
    """
    if ctx.invoked_subcommand is not None:
        return
    path, known = profiles_path(), read_profiles()
    if as_json:
        print_json(
            {
                "path": str(path),
                "default": known.default,
                "profiles": [attrs.asdict(one) for one in known.profiles.values()],
            }
        )
        return
    spare_the_encoding()
    for line in rows(known):
        click.echo(line)
    click.echo(short(path))


def rows(known: Profiles) -> list[str]:
    """Return the profiles, a star before the one that is meant where none is named."""
    if not known.profiles:
        return ["There is no profile yet: async-auth login --help"]
    names = max(map(len, known.profiles))
    return [
        f"{'*' if name == known.default else ' '} {name:<{names}}  {said(one)}"
        for name, one in sorted(known.profiles.items())
    ]


def said(profile: Profile) -> str:
    """Return a profile on one line."""
    who = f"{profile.account} at " if profile.account else ""
    return f"{who}{profile.host} ({profile.system}), kept in: {profile.keep}"


@profiles.command()
@click.argument("name", shell_complete=complete_profile)
@json_option
def use(*, name: str, as_json: bool) -> None:
    """Make NAME the profile that is meant where none is named."""

    def change(known: Profiles) -> Profiles:
        return attrs.evolve(known, default=known.chosen(name).name)

    change_profiles(change)
    if as_json:
        print_json({"default": name})
    else:
        click.echo(f"{name} is the default now.")


@profiles.command()
@click.argument("name", shell_complete=complete_profile)
@json_option
def remove(*, name: str, as_json: bool) -> None:
    """Forget the profile NAME; it must be signed out."""
    profile = read_profiles().chosen(name)
    if running.run(open_store(profile.keep).load(name)) is not None:
        raise ConfigurationError(f"{name} is signed in; first: async-auth logout --profile {name}")
    change_profiles(lambda known: known.without(name))
    if as_json:
        print_json({"removed": name})
    else:
        click.echo(f"{name} is forgotten.")
