"""`seawall audit`: who did what, and the proof that nothing of it was changed since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from seawall.cli.connect import ask
from seawall.cli.exits import FAILED, CliProblem, UsageProblem
from seawall.cli.moments import moment
from seawall.cli.output import print_json, print_table, say, tell
from seawall.cli.tables import written
from seawall.cli.wording import safe
from seawall.engine.audit import Action, AuditRecord, Head, exported, read_exported
from seawall.engine.audit_chain import ChainCheck, Verdict

if TYPE_CHECKING:
    from seawall.client.audit import AuditVerdict
    from seawall.client.client import Client

app = typer.Typer(
    no_args_is_help=True, help="Who did what, and the proof that nothing of it was changed since."
)

_DATABASE = "seawall.db"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DataDirectory = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Read this data directory itself; no controller is asked."),
]


@app.command("list")
def list_entries(
    context: typer.Context,
    since_moment: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", callback=moment, help="Only from then on, such as 2h or a date."
        ),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor", metavar="WHO", help="Only this one's: token:NAME, host:NAME, controller, nobody."
        ),
    ] = None,
    action: Annotated[
        list[Action] | None, typer.Option("--action", help="Only such actions; repeatable.")
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="ID", help="Only about this command, host, token or circuit."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    before: Annotated[
        int | None, typer.Option("--before", metavar="POSITION", help="Older than this entry.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List entries, the newest first."""
    begin = datetime.fromtimestamp(float(since_moment), UTC) if since_moment is not None else None
    entries = ask(
        context,
        lambda client: client.audit.entries(
            actor=actor, actions=action or (), subject=subject, since=begin, limit=limit, before=before
        ),
    )
    if as_json:
        print_json(entries)
        return
    rows = [
        (
            str(entry.position),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.actor,
            entry.source,
            entry.action,
            entry.subject,
            written(entry.detail),
        )
        for entry in entries
    ]
    columns = ("position", "UTC", "who", "from", "action", "about", "detail")
    print_table(columns, rows, empty="no such entries")
    if len(entries) == limit:
        tell(f"there may be more: --before {entries[-1].position}")


@app.command("verify")
def verify(
    context: typer.Context,
    data: DataDirectory = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read what 'seawall audit export' wrote.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="POSITION:HASH",
            help="What an earlier call has printed: it must be in the chain.",
        ),
    ] = None,
    backup: Annotated[
        Path | None,
        typer.Option("--backup", metavar="FILE", help="The head that was backed up must be in the chain."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow the chain from its first entry to its last, and say where it is broken, if it is."""
    if data is not None and file is not None:
        raise UsageProblem("give either --data or --file")
    if head is not None and backup is not None:
        raise UsageProblem("give either --head or --backup")
    known = _head(head, backup)
    verdict: Verdict | AuditVerdict
    if data is None and file is None:
        told = str(known) if known is not None else None
        verdict = ask(context, lambda client: client.audit.verify(told))
    else:
        check = ChainCheck(known)
        for records in _read_file(file) if file is not None else _read_directory(data or Path()):
            check.take(records)
        verdict = check.verdict()
    if as_json:
        print_json(verdict)
    else:
        _tell(verdict)
    if verdict.fault is not None:
        raise typer.Exit(FAILED)


@app.command("export")
def export(
    context: typer.Context,
    data: DataDirectory = None,
    after: Annotated[
        int, typer.Option("--after", metavar="POSITION", min=0, help="Only what follows this entry.")
    ] = 0,
) -> None:
    """Print all entries in order, one JSON object a line, as other programs can verify them."""
    if data is not None:
        for records in _read_directory(data):
            for record in records:
                if record.position > after:
                    say(exported(record).decode().rstrip("\n"))
        return

    async def fetch(client: Client) -> None:
        async for line in client.audit.lines(after):
            say(line.decode().rstrip("\n"))

    ask(context, fetch)


@app.command("prune")
def prune(
    context: typer.Context,
    before: Annotated[
        str, typer.Option("--before", metavar="TIME", callback=moment, help="Older than this, such as 365d.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Remove the oldest entries for good; export them first. The chain says that they were there."""
    limit = datetime.fromtimestamp(float(before), UTC)
    if not yes:
        typer.confirm(f"Remove all entries from before {limit:%Y-%m-%d %H:%M} UTC?", abort=True, err=True)
    pruned = ask(context, lambda client: client.audit.prune(limit))
    say(f"{pruned} entries are removed")


def _tell(verdict: Verdict | AuditVerdict) -> None:
    if verdict.fault is not None:
        tell(
            f"seawall: the audit log is broken at entry {verdict.fault.position}: {safe(verdict.fault.text)}"
        )
        tell("  compare it with an export or a backup; what follows that entry proves nothing")
        return
    say(f"{verdict.entries} entries from {verdict.first} on, and the chain is whole")
    match verdict.head_was:
        case "held":
            say("  the head that was given is in it: nothing before that was changed")
        case "pruned":
            say("  the head that was given is older than what is kept, and can't be compared")
    say(f"  head {verdict.head}")
    say("  keep that elsewhere: with --head it shows later whether the end was cut off or all of it replaced")


def _head(head: str | None, backup: Path | None) -> Head | None:
    if backup is not None:
        head = _head_of_backup(backup)
    try:
        return Head.of(head) if head is not None else None
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def _head_of_backup(backup: Path) -> str:
    from seawall.storage.archive import BackupError
    from seawall.storage.restore import verify_backup

    try:
        head = verify_backup(backup).contents.audit_head
    except BackupError as error:
        raise CliProblem(str(error)) from error
    if not head:
        raise CliProblem(f"{backup} is from before there was an audit log, and has no head of it")
    tell(f"the head of the backup is {head}")
    return head


def _read_directory(data: Path) -> Iterator[list[AuditRecord]]:
    from seawall.storage.audit_file import AuditUnreadable, read_audit

    try:
        yield from read_audit(data / _DATABASE)
    except AuditUnreadable as error:
        raise CliProblem(str(error)) from error


def _read_file(file: Path) -> Iterator[list[AuditRecord]]:
    number = 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                number += 1
                yield [read_exported(line)]
    except OSError as error:
        raise CliProblem(f"{file} can't be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise CliProblem(
            f"{file}, line {number}: this is no entry of an audit log ({error}); name what 'seawall audit export' "
            "wrote"
        ) from error
