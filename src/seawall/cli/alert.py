"""`seawall alert`: what is wrong, who takes care of it, when to keep quiet, and where it is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.connect import ask
from seawall.cli.exits import CliProblem, UsageProblem
from seawall.cli.output import print_json, print_table, say, since, tell
from seawall.cli.token import lifetime_seconds
from seawall.cli.toml_files import text_of, understood
from seawall.cli.wording import safe
from seawall.client.alert_models import Alert, AskedSilence, ChannelTest, Delivery, Rule, RulesView
from seawall.core.alert_rules import AlertKind
from seawall.engine.alert_settings import read_alert_settings

if TYPE_CHECKING:
    from seawall.client.client import Client

app = typer.Typer(no_args_is_help=True, help="What is wrong, and where it is told.")
channel_app = typer.Typer(no_args_is_help=True, help="Where alerts are told.")
app.add_typer(channel_app, name="channel")

_URL_LIMIT = 4_096

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AlertId = Annotated[str, typer.Argument(metavar="ID", help="An alert's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]
ChannelName = Annotated[str, typer.Argument(metavar="NAME", help="A channel's name.")]


@app.command("list")
def list_alerts(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the alerts that are open, the newest first."""
    alerts = ask(context, lambda client: client.alerts.list(every=every))
    if as_json:
        print_json(alerts)
        return
    columns = ("severity", "rule", "host", "what", "since", "state", "id")
    print_table(columns, [_row(alert) for alert in alerts], empty="nothing is wrong that a rule watches")


@app.command("show")
def show(context: typer.Context, alert_id: AlertId, as_json: Json = False) -> None:
    """Show an alert, what was said of it, and whether that got through."""
    alert = ask(context, lambda client: client.alerts.show(alert_id))
    if as_json:
        print_json(alert)
        return
    host = f" on {safe(alert.host)}" if alert.host else ""
    say(f"{alert.severity} {alert.kind}{host}: {safe(alert.text)}")
    say(f"opened {since(alert.opened_at)}, {_state(alert)}; its cause came {alert.openings} times")
    if alert.acknowledged_by:
        say(
            f"acknowledged by {safe(alert.acknowledged_by)}: {safe(alert.acknowledgement) or 'no reason given'}"
        )
    rows = [(each.said, each.channel, since(each.at), _outcome(each)) for each in alert.deliveries]
    print_table(("said", "to", "when", "outcome"), rows, empty="nothing was sent anywhere")


@app.command("acknowledge")
def acknowledge(
    context: typer.Context, alert_id: AlertId, reason: Reason = "", as_json: Json = False
) -> None:
    """Say that you take care of an alert, so that it isn't escalated."""
    alert = ask(context, lambda client: client.alerts.acknowledge(alert_id, reason))
    if as_json:
        print_json(alert)
        return
    say(
        f"you take care of {alert.kind} on {safe(alert.host)}"
        if alert.host
        else f"you take care of {alert.kind}"
    )


@app.command("silence")
def silence(
    context: typer.Context,
    duration: Annotated[str | None, typer.Option("--for", metavar="2h", help="How long.")] = None,
    rules: Annotated[
        list[AlertKind] | None, typer.Option("--rule", help="Only this rule; repeatable.")
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="HOST", help="Only this host, or pattern such as 'web-*'; repeatable."),
    ] = None,
    reason: Reason = "",
    end: Annotated[
        str | None, typer.Option("--end", metavar="ID", help="End a silence instead of beginning one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep quiet for a while. What is still wrong after it is told then."""
    if end is not None:
        if duration is not None:
            raise UsageProblem("give either --for or --end")
        ask(context, lambda client: client.alerts.end_silence(end))
        say(f"the silence {safe(end)} is over")
        return
    seconds = lifetime_seconds(duration) if duration is not None else None
    if seconds is None:
        raise UsageProblem("give --for with a number and a unit, such as --for 2h, 45m or 1d")
    names = [rule.value for rule in rules or ()]
    made = ask(
        context,
        lambda client: client.alerts.silence(seconds, rules=names, hosts=hosts or (), reason=reason),
    )
    if as_json:
        print_json(made)
        return
    say(f"quiet until {made.until:%Y-%m-%d %H:%M} UTC: {_scope(made.kinds, made.hosts)} ({made.silence_id})")


@app.command("rules")
def show_rules(context: typer.Context, as_json: Json = False) -> None:
    """Show the rules and silences that hold."""

    async def fetch(client: Client) -> tuple[RulesView, tuple[AskedSilence, ...]]:
        return await client.alerts.rules(), await client.alerts.silences()

    view, silences = ask(context, fetch)
    if as_json:
        print_json({"rules": view, "silences": silences})
        return
    columns = ("rule", "severity", "threshold", "for", "calm", "cool-down", "escalate", "to", "from the file")
    print_table(
        columns,
        [_rule_row(name, rule, view.channels) for name, rule in view.rules.items()],
        empty="no rules",
    )
    windows = [
        (
            each.name,
            f"{each.begin} to {each.end} {each.zone}",
            _scope(each.rules, each.hosts),
            "the alert file",
        )
        for each in view.silences
    ]
    asked = [
        (each.silence_id, f"until {since(each.until)}", _scope(each.kinds, each.hosts), each.created_by)
        for each in silences
    ]
    print_table(("silence", "when", "what", "by"), windows + asked, empty="no silences")


@app.command("check")
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="An alert file.")]) -> None:
    """Read an alert file and say what is wrong with it, without a controller."""
    settings = understood(str(file), text_of(file), read_alert_settings)
    off = sum(not rule.enabled for rule in settings.rules.values())
    say(f"{file} is fine: {len(settings.rules) - off} rules on, {off} off, {len(settings.silences)} silences")


@app.command("test")
def try_channels(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this channel.")] = None,
    as_json: Json = False,
) -> None:
    """Send a test message to the channels, and say which took it."""

    async def send(client: Client) -> list[ChannelTest]:
        names = [name] if name is not None else [each.name for each in await client.alerts.channels()]
        return [await client.alerts.test_channel(each) for each in names]

    results = ask(context, send)
    if as_json:
        print_json(results)
    else:
        rows = [(each.channel, "delivered" if each.delivered else safe(each.error)) for each in results]
        print_table(("channel", "outcome"), rows, empty="no channels; 'seawall alert channel add' adds one")
    if not all(each.delivered for each in results):
        raise CliProblem("not every channel took the message")


@channel_app.command("add")
def add_channel(
    context: typer.Context,
    name: ChannelName,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help="https:// for a signed webhook, else as Apprise has it; read from stdin if not given.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a channel: a signed webhook, or any service that Apprise knows."""
    address = url if url is not None else _read_url()
    channel = ask(context, lambda client: client.alerts.add_channel(name, address))
    if as_json:
        print_json(channel)
        return
    if channel.secret:
        say(channel.secret)
        tell("this secret signs what the webhook gets; it is never shown again")
    tell(f"alerts go to {safe(channel.name)} ({channel.address}); try it: seawall alert test {channel.name}")


@channel_app.command("list")
def list_channels(context: typer.Context, as_json: Json = False) -> None:
    """List the channels, without their addresses."""
    channels = ask(context, lambda client: client.alerts.channels())
    if as_json:
        print_json(channels)
        return
    rows = [
        (each.name, each.kind, each.address, since(each.created_at), each.created_by) for each in channels
    ]
    empty = "no channels: alerts are listed, and told nowhere; 'seawall alert channel add' adds one"
    print_table(("name", "kind", "address", "added", "by"), rows, empty=empty)


@channel_app.command("remove")
def remove_channel(context: typer.Context, name: ChannelName) -> None:
    """Remove a channel, and what waits for it."""
    ask(context, lambda client: client.alerts.remove_channel(name))
    say(f"the channel {safe(name)} is removed")


def _read_url() -> str:
    """From a prompt that shows nothing, or from whatever is piped in: arguments are seen by every user of a machine."""
    if sys.stdin.isatty():
        return str(typer.prompt("address", hide_input=True)).strip()
    return sys.stdin.read(_URL_LIMIT).strip()


def _row(alert: Alert) -> tuple[str, ...]:
    return (
        alert.severity,
        alert.kind,
        alert.host,
        alert.text,
        since(alert.opened_at),
        _state(alert),
        alert.alert_id,
    )


def _state(alert: Alert) -> str:
    if alert.resolved_at is not None:
        return f"over {since(alert.resolved_at)}"
    words = ["flapping" if alert.flapping else "open" if alert.active else "calm"]
    if alert.acknowledged_by:
        words.append("acknowledged")
    if alert.told_at is None:
        words.append("not told")
    return ", ".join(words)


def _outcome(delivery: Delivery) -> str:
    attempts = f"attempt {delivery.attempts}"
    if delivery.delivered_at is not None:
        return f"delivered {since(delivery.delivered_at)}, {attempts}"
    if delivery.given_up_at is not None:
        return f"given up {since(delivery.given_up_at)}: {safe(delivery.error)}"
    return f"waits, {attempts} failed: {safe(delivery.error)}" if delivery.attempts else "waits"


def _rule_row(name: str, rule: Rule, channels: list[str] | None) -> tuple[str, ...]:
    to = rule.channels if rule.channels is not None else channels
    after = rule.escalate_after_seconds
    return (
        name,
        rule.severity if rule.enabled else "off",
        f"{rule.threshold:g}" if rule.threshold_means else "",
        f"{rule.for_seconds:g} s",
        f"{rule.calm_seconds:g} s",
        f"{rule.cool_down_seconds:g} s",
        f"{after:g} s" if after is not None else "never",
        "all channels" if to is None else ", ".join(to) or "nowhere",
        ", ".join(sorted(rule.sources)),
    )


def _scope(rules: list[str], hosts: list[str]) -> str:
    what = ", ".join(rules) or "everything"
    return f"{what} on {', '.join(map(safe, hosts))}" if hosts else what
