"""`seawall backup` and `seawall restore`: what makes a controller itself, in one file and out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.controller import Data
from seawall.cli.exits import CliProblem
from seawall.cli.output import say, since
from seawall.cli.wording import safe
from seawall.client.context import data_path

if TYPE_CHECKING:
    from seawall.storage.archive import Manifest

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(file: File, data: Data = None) -> None:
    """Write a controller's database, keys, admin token and files into one file, also while it runs."""
    from seawall import __version__
    from seawall.clock import SystemClock
    from seawall.storage.archive import BackupError
    from seawall.storage.backup import make_backup

    try:
        manifest = make_backup(_directory(data), file, made_at=SystemClock().wall(), version=__version__)
    except BackupError as error:
        raise CliProblem(str(error)) from error
    say(f"{file} holds {_holdings(manifest)}")
    say("  it was checked, and only you can read it")
    say(
        "  it holds secrets, the CA's key and the admin token: whoever reads it can command every host, so keep it as "
        "you keep those"
    )


def restore(
    file: File,
    data: Data = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only check it; nothing is changed.")] = False,
) -> None:
    """Make an empty data directory the controller's again, from a backup."""
    from seawall.storage.archive import BackupError
    from seawall.storage.directory import DataDirectoryError
    from seawall.storage.restore import restore_backup, verify_backup

    directory = _directory(data)
    try:
        manifest = verify_backup(file) if verify else restore_backup(file, directory)
    except (BackupError, DataDirectoryError) as error:
        raise CliProblem(str(error)) from error
    say(f"{file} holds {_holdings(manifest)}")
    moment = f"{since(manifest.made_at)}, on {manifest.made_at:%Y-%m-%d %H:%M} UTC"
    say(f"  made {moment}, by Seawall {safe(manifest.seawall)}")
    if verify:
        say(f"  members: {', '.join(manifest.members)}")
        say(
            "  all of it is whole, the keys belong together, and this Seawall can restore it; nothing was changed"
        )
        return
    where = f" --data {directory}" if data is not None else ""
    say(f"restored to {directory}; start the controller with 'seawall controller{where}'")
    say("  an agent that knows newer commands reports them when it connects, and nothing runs again")
    say("  what was accepted after the backup and reached no agent is lost: ask for it anew")


def _directory(data: Path | None) -> Path:
    return (data if data is not None else data_path(os.environ)).absolute()


def _holdings(manifest: Manifest) -> str:
    held = manifest.contents
    mebibytes = sum(member.size_bytes for member in manifest.members.values()) / 1024**2
    return (
        f"controller {safe(held.controller_id)}, term {held.term}: {held.commands} commands ({held.open_commands} not "
        f"over), {held.agents} hosts, {mebibytes:.1f} MiB"
    )
