"""The options that every command to a host has, and what is done with them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from seawall.cli import results
from seawall.cli.connect import ask
from seawall.cli.doubt import warning
from seawall.cli.exits import UsageProblem
from seawall.cli.fanout import Manner, Plan, Work, choose, perform
from seawall.cli.json_lines import JsonReporter
from seawall.cli.live import ManyHostsReporter, OneHostReporter
from seawall.cli.output import console, say, tell
from seawall.cli.packing import made
from seawall.cli.prune import planned
from seawall.cli.reporters import Ending, LineReporter, Reporter
from seawall.client.models import Agent
from seawall.client.selector import Selector, SelectorProblem, parse_selector
from seawall.clock import SystemClock
from seawall.core.command import CommandState
from seawall.operations.registry import OPERATIONS

if TYPE_CHECKING:
    from seawall.client.client import Client

_LONGEST_KEY = 200
"""The controller takes 255 characters; a host's id may follow."""
_MOST_RETRIES = 19


def _seconds(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"give a number of seconds greater than 0, not {value:g}")
    return value


def _key(value: str | None) -> str | None:
    if value is not None and not (
        1 <= len(value) <= _LONGEST_KEY and value.isascii() and value.isprintable()
    ):
        raise typer.BadParameter(f"a key has 1 to {_LONGEST_KEY} printable ASCII characters")
    return value


class Form(Enum):
    """Who reads what is printed."""

    PERSON = "person"
    RECORD = "record"
    """A program that wants the records, once all is over."""
    LINES = "lines"
    """A program that follows along."""


IdempotencyKey = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", callback=_key, help="The same key is the same command."),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Print the accepted record at once, don't wait for the end.")
]


def _deliver(
    context: typer.Context,
    work: Work,
    *,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="HOST|KEY=VALUE|all", help="Where; may be given several times."),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", callback=_seconds, help="How long an attempt may take."),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries", min=0, max=_MOST_RETRIES, help="How often it is tried again after the first attempt."
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="SECONDS",
            callback=_seconds,
            help="How long all of it may take; nothing starts later.",
        ),
    ] = None,
    idempotency_key: IdempotencyKey = None,
    no_wait: NoWait = False,
    no_queue: Annotated[
        bool,
        typer.Option("--no-queue", help="Fail at once on a host that isn't connected, don't wait for it."),
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=500, help="On how many hosts at once at most.")
    ] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record; a list when several hosts may be meant.")
    ] = False,
    json_lines: Annotated[
        bool,
        typer.Option("--json-lines", help="Print what happens as it does, one JSON object a line."),
    ] = False,
) -> None:
    form = _form(as_json=as_json, json_lines=json_lines)
    try:
        selector = parse_selector(on or ())
    except SelectorProblem as error:
        raise UsageProblem(str(error)) from error
    if work.stream:
        # It needs a library that a host without the client's extra doesn't have.
        from seawall.cli.streams import follow

        follow(context, selector, work)
    manner = Manner(
        timeout_seconds=timeout,
        max_attempts=retries + 1 if retries is not None else None,
        deadline_seconds=deadline,
        queue=not no_queue,
        key=idempotency_key,
        several=selector.plural,
        follow=not no_wait,
        parallel=parallel,
    )
    if work.plan is not None:
        work = planned(work, work.plan, _plans(context, selector, work.plan, manner), ask=form is Form.PERSON)
        selector = Selector(names=tuple(work.by_host))
    kind = OPERATIONS[work.operation].upload if work.source is not None else None
    with made(kind, work.source or "", work) if kind is not None else nullcontext(work) as whole:
        endings = ask(context, lambda client: _delivered(client, selector, whole, manner, form))
    _conclude(endings, whole, manner, form)


def _form(*, as_json: bool, json_lines: bool) -> Form:
    if as_json and json_lines:
        raise UsageProblem("--json prints the record, --json-lines what happens: give one of them")
    return Form.LINES if json_lines else Form.RECORD if as_json else Form.PERSON


def _conclude(endings: list[Ending], work: Work, manner: Manner, form: Form) -> NoReturn:
    if form is Form.RECORD:
        results.print_records(endings, work, plural=manner.several)
    elif form is Form.PERSON and manner.follow:
        results.print_responses(endings, work, plural=manner.several)
        if len(endings) > 1:
            (tell if _answers(work) else say)(results.summary(endings))
    elif form is Form.PERSON:
        results.print_accepted(endings, plural=manner.several)
    raise typer.Exit(results.exit_code(endings, plural=manner.several))


def _plans(context: typer.Context, selector: Selector, plan: Plan, manner: Manner) -> list[Ending]:
    """What the plan's read finds on each host."""
    read = Work(plan.operation, plan.arguments)
    how = Manner(queue=manner.queue, several=selector.plural, parallel=manner.parallel)
    return ask(context, lambda client: _delivered(client, selector, read, how, Form.PERSON))


async def _delivered(
    client: Client, selector: Selector, work: Work, manner: Manner, form: Form
) -> list[Ending]:
    return await _performed(client, await choose(client, selector), work, manner, form)


async def _performed(
    client: Client, hosts: list[Agent], work: Work, manner: Manner, form: Form
) -> list[Ending]:
    beside = form is Form.RECORD or _answers(work) or not manner.follow
    with _reporter(len(hosts), form, beside=beside, quiet=_answers(work)) as reporter:
        return await perform(client, SystemClock(), hosts, work, manner, reporter)


def _reporter(hosts: int, form: Form, *, beside: bool, quiet: bool) -> Reporter:
    if form is Form.LINES:
        return JsonReporter(say)
    screen = console(errors=beside)
    if screen.is_terminal:
        if hosts > 1:
            return ManyHostsReporter(screen, quiet=quiet, hosts=hosts)
        return OneHostReporter(screen, quiet=quiet)
    return LineReporter(tell if beside else say, plural=hosts > 1, quiet=quiet)


def _answers(work: Work) -> bool:
    """Whether what a person wants is the answer, and how it came about is beside that."""
    operation = OPERATIONS.get(work.operation)
    return operation is not None and (not operation.changes or operation.name == "container_exec")


_SIGNATURE = inspect.signature(_deliver, eval_str=True)
_OPTIONS = [
    parameter
    for parameter in _SIGNATURE.parameters.values()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
]


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., Work]], None]:
    """Make a function that says what is to be done into a command of `app`, with all the options above.

    The function's parameters are the command's own, its docstring the help.
    """

    def decorate(function: Callable[..., Work]) -> None:
        own = list(inspect.signature(function, eval_str=True).parameters.values())
        context = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]

        def run(context: typer.Context, **given: object) -> None:
            work = function(**{parameter.name: given.pop(parameter.name) for parameter in own})
            _deliver(context, work, **given)  # type: ignore[arg-type]  # typer gives each its declared type

        parameters = [context, *named, *_OPTIONS]
        run.__doc__ = function.__doc__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        vars(run)["__signature__"] = inspect.Signature(parameters)
        app.command(name)(run)

    return decorate


def deliver_to(
    context: typer.Context, host: str, work: Work, *, timeout: float | None, as_json: bool
) -> None:
    """Have one thing done on one host, for commands whose host is an argument."""
    _deliver(context, work, on=[host], timeout=timeout, retries=None, as_json=as_json)


def deliver_anew(
    context: typer.Context, command_id: str, *, key: str | None, no_wait: bool, as_json: bool
) -> NoReturn:
    """Have an UNKNOWN command done over by a new one on the same host, after a warning."""
    manner = Manner(key=key, follow=not no_wait)
    form = _form(as_json=as_json, json_lines=False)

    async def performed(client: Client) -> tuple[list[Ending], Work]:
        first = await client.command(command_id)
        if first.state is CommandState.UNKNOWN:
            tell(f"seawall: warning: {warning(first)}")
        work = Work(first.operation, first.arguments, instead_of=command_id)
        host = await client.agent(first.agent_id)
        return await _performed(client, [host], work, manner, form), work

    _conclude(*ask(context, performed), manner, form)
