"""`async-auth completion`: the script by which a shell completes commands, options and profiles."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from async_auth.cli import exit_codes

SHELLS = ("bash", "zsh", "fish")
#: What click looks for when the shell asks.
VARIABLE = "_ASYNC_AUTH_COMPLETE"
EXAMPLES = """\b
Examples:
  eval "$(async-auth completion bash)"                   # in ~/.bashrc
  eval "$(async-auth completion zsh)"                    # in ~/.zshrc
  async-auth completion fish > ~/.config/fish/completions/async-auth.fish
"""


@click.command(epilog=f"{EXAMPLES}\n{exit_codes.table()}")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, *, shell: str | None) -> None:
    """
    Print the script that makes a shell complete.

    Without SHELL it is that of $SHELL. Names of profiles are completed, too.
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(shell)
    if found is None or shell not in SHELLS:
        raise click.UsageError(f"Which shell? One of {', '.join(SHELLS)}.")
    click.echo(found(ctx.find_root().command, {}, "async-auth", VARIABLE).source())
