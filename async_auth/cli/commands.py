"""The commands of `async-auth`: which there are, and where. Each has a file of its own."""

from __future__ import annotations

import click

from async_auth.cli import exit_codes
from async_auth.cli.group import Commands

#: In the order of the help.
PLACES = {
    "login": "async_auth.cli.login:login",
    "status": "async_auth.cli.status:status",
    "token": "async_auth.cli.token:token",
    "exec": "async_auth.cli.exec:exec_",
    "watch": "async_auth.cli.watch:watch",
    "logout": "async_auth.cli.logout:logout",
    "doctor": "async_auth.cli.doctor:doctor",
    "profiles": "async_auth.cli.profiles:profiles",
    "completion": "async_auth.cli.completion:completion",
    "demo": "async_auth.cli.demo.command:demo",
}

HELP = """\
Sign in once; your scripts have a valid token from then on.

\b
  async-auth login --url https://x.supabase.co/auth/v1 --email ada@example.com
  curl -H "Authorization: Bearer $(async-auth token)" https://api.example.com
  async-auth exec -- ./nightly-job
  async-auth status
  async-auth doctor
"""

commands: click.Group = Commands(
    name="async-auth",
    help=HELP,
    epilog=exit_codes.table(),
    places=PLACES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(package_name="async_auth", prog_name="async-auth")(commands)
