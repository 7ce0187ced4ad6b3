"""`kobe status`, `positions`, `orders`, `signals` and `logs`: read-only views of a stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.cli.output import (
    AsJson,
    json_line,
    print_facts,
    print_json,
    print_lines,
    print_rows,
    terminal,
)
from services.console.stack.address import find_stack
from services.console.stack.connect import open_client
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonMapping, JsonObject

if TYPE_CHECKING:
    from services.console.views.order_history import OrderRow
    from services.console.views.status import Overview

NOT_WELL = 1
HEAD = ("ts", "level", "event", "service", "mode")
"""What a log line begins with, or what every line has."""
Recent = Annotated[
    int, typer.Option("--recent", min=1, max=10_000, help="How many; the newest come last.")
]


def status(as_json: AsJson = False) -> int:
    """Show whether the stack trades, and if not, why."""
    client = open_client(os.environ)
    from services.console.views.status import look

    seen = look(client)
    if as_json:
        print_json({"ok": seen.ok, **_fields(seen)})
    else:
        _print_overview(seen)
    return 0 if seen.ok else NOT_WELL


def _fields(seen: Overview) -> JsonObject:
    return {name: getattr(seen, name) for name in seen.__struct_fields__}


def _print_overview(seen: Overview) -> None:
    from services.console.views.status import age_text

    trading = "halted" if seen.halted or seen.kill_file else seen.trading_state
    print_lines((f"✗ {problem}" for problem in seen.problems), style="bold red")
    if seen.ok:
        print_lines([f"✓ Trading is {trading}; nothing is away."], style="bold green")
    facts = {
        "mode": f"{seen.mode} {seen.account}".strip() or "no session yet",
        "trading": trading,
        "session": seen.session or "none yet",
        "last scan": f"{seen.last_scan} {age_text(seen.last_scan_age)}".strip(),
        "next scan": seen.next_scan or "with the next session",
        "equity": seen.equity,
        "cash": seen.cash,
        "budget used": seen.budget_used,
        "open positions": seen.open_positions,
        "bars through": seen.bars_through or "none yet",
        "broker seen": age_text(seen.broker_seen_age),
        "audit chain": f"{seen.chain_height} records",
        "dead letters": seen.dead_letters,
        "disk free": f"{seen.disk.free_bytes / (1 << 30):.1f} GiB" if seen.disk else "unknown",
        "config pin": seen.config_pin[:12],
    }
    print_facts("Kobe81", facts)
    rows = [
        (row.service, "active" if row.active else "AWAY", _readiness(seen, row.service), row.seq)
        for row in seen.services
    ]
    columns = ("service", "lease", "ready", "messages")
    print_rows("Services", columns, rows, empty="No service has started yet.")


def _readiness(seen: Overview, service: str) -> str:
    if service not in seen.not_ready:
        return "not asked"
    return "; ".join(seen.not_ready[service]) or "yes"


def orders(recent: Recent = 20, as_json: AsJson = False) -> None:
    """Show the risk-gate's latest decisions and what became of them."""
    client = open_client(os.environ)
    from services.console.views.order_history import latest_orders

    rows = latest_orders(client, recent)
    if as_json:
        print_json({"orders": rows})
        return
    columns = ("decision", "order", "purpose", "state", "filled", "why")
    cells = [
        (
            row.decision_id,
            _order(row),
            f"{row.purpose} ({row.strategy})",
            row.state,
            f"{row.filled_qty} at {row.price}" if row.filled_qty else "",
            row.why,
        )
        for row in rows
    ]
    print_rows("Orders", columns, cells, empty="No order has been decided yet.")


def _order(row: OrderRow) -> str:
    limit = (
        f"{'≤' if row.side == 'buy' else '≥'} {row.limit_price}" if row.limit_price else "unquoted"
    )
    return f"{row.side} {row.qty} {row.symbol} {limit}"


def positions(as_json: AsJson = False) -> None:
    """Show open positions and the stops that protect them."""
    client = open_client(os.environ)
    from services.console.views.positions import external_shares, positions as open_positions

    rows, external = open_positions(client), external_shares(client)
    if as_json:
        print_json({"positions": rows, "external": external})
        return
    columns = ("symbol", "qty", "average price", "strategy", "since", "stop", "target", "protected")
    cells = [
        (
            row.symbol,
            row.qty,
            row.average_price,
            row.strategy,
            row.entry_session,
            row.stop,
            row.target,
            "yes" if row.protected else "NO",
        )
        for row in rows
    ]
    print_rows("Positions", columns, cells, empty="No position is open.")
    print_lines(
        f"{row.symbol} is disputed ({row.dispute}): look at the broker, then run kobe adopt, "
        f"release or acknowledge {row.symbol}."
        for row in rows
        if row.dispute
    )
    if external:
        shares = ", ".join(f"{qty.normalize():f} {symbol}" for symbol, qty in external.items())
        print_lines([f"At the broker, not ours, and never sold: {shares}."])


def signals(recent: Recent = 20, as_json: AsJson = False) -> None:
    """Show the latest signals."""
    client = open_client(os.environ)
    from services.console.views.order_history import latest_signals

    found = latest_signals(client, recent)
    if as_json:
        print_json({"signals": found})
        return
    columns = ("session", "symbol", "strategy", "direction", "price", "stop", "target", "score")
    rows = [
        (
            signal.session,
            signal.symbol,
            signal.strategy,
            signal.direction.value,
            signal.reference_price,
            signal.stop,
            signal.target,
            f"{signal.score:.3f}",
        )
        for signal in found
    ]
    print_rows("Signals", columns, rows, empty="No strategy has given a signal yet.")


def logs(
    recent: Recent = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the services' logs, merged by time."""
    from services.console.stack.log_files import follow as follow_logs, tail

    folder = Path(find_stack(os.environ).log_dir)
    if not folder.is_dir():
        raise UserError(f"There are no logs at {folder}; for containers use `docker compose logs`.")
    for line in tail(folder, recent):
        _print_log(line, as_json)
    if follow:
        for line in follow_logs(folder):
            _print_log(line, as_json)


def _print_log(line: JsonMapping, as_json: bool) -> None:
    if as_json:
        print_json(line)
        return
    facts = "  ".join(
        f"{key}={_log_value(value)}"
        for key, value in line.items()
        if key not in HEAD and value not in (None, "", [], {})
    )
    head = f"{str(line.get('ts', ''))[:19]} {line.get('service', ''):<13} {line.get('event', '')}"
    bad = line.get("level") in ("error", "critical")
    terminal.print(f"{head}  {facts}".rstrip(), style="red" if bad else "", soft_wrap=False)


def _log_value(value: object) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json_line(value)
