"""`kobe status`, `orders`, `positions`, `signals` and `logs`: read-only views of a stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from services.console.cli.output import AsJson, print_facts, print_json, print_rows, terminal
from services.console.stack.address import find_stack
from services.console.stack.client import StackClient
from services.console.stack.log_files import follow as follow_logs, tail
from services.console.views.order_history import OrderRow, order_rows
from services.console.views.status import overview, positions as held_positions
from shared.domain.errors import UserError
from shared.schemas.messages import OrderApproved, OrderDenied, ScanCompleted
from shared.schemas.streams import Stream

Recent = Annotated[int, typer.Option("--recent", min=1, max=10_000, help="How many, newest last.")]


def register(app: typer.Typer) -> None:
    for command in (status, orders, positions, signals, logs):
        app.command()(command)


def _operations() -> StackClient:
    return StackClient(find_stack(os.environ))


def status(as_json: AsJson = False) -> None:
    """Show whether the stack trades, and if not, why."""
    seen = overview(_operations())
    if as_json:
        print_json(seen)
        return
    kill = (
        f"HALTED: {seen.kill or 'a kill'} ({seen.kill_id})" if seen.halted else seen.trading_state
    )
    facts = {
        "trading": kill,
        "session": seen.session or "none yet",
        "equity": seen.equity,
        "cash": seen.cash,
    }
    facts |= {"open positions": str(seen.open_positions), "budget used": seen.budget_used}
    facts |= {"audit chain": f"{seen.chain_height} records", "dead letters": str(seen.dead_letters)}
    print_facts("Kobe81", facts)
    rows = [
        (row.service, "active" if row.active else "AWAY", row.fence, row.version, row.seq)
        for row in seen.services
    ]
    print_rows(
        "Services",
        ("service", "lease", "fence", "steps", "messages"),
        rows,
        empty="No service has started yet.",
    )


def orders(recent: Recent = 20, as_json: AsJson = False) -> None:
    """Show the risk-gate's latest decisions and what became of them."""
    operations = _operations()
    decisions = operations.latest(Stream.ORDERS, (OrderApproved, OrderDenied), recent)[::-1]
    executions = (
        operations.after(Stream.EXECUTIONS, decisions[0].entry_id, count=100_000)
        if decisions
        else []
    )
    rows = order_rows(decisions, executions)
    if as_json:
        print_json({"orders": rows})
        return
    columns = ("decision", "order", "purpose", "state", "filled", "why")
    cells = [
        (
            r.decision_id,
            _order(r),
            f"{r.purpose} ({r.strategy})",
            r.state,
            f"{r.filled_qty} at {r.price}" if r.filled_qty else "",
            r.why,
        )
        for r in rows
    ]
    print_rows("Orders", columns, cells, empty="No order has been decided yet.")


def _order(row: OrderRow) -> str:
    limit = (
        f"{'≤' if row.side == 'buy' else '≥'} {row.limit_price}" if row.limit_price else "unquoted"
    )
    return f"{row.side} {row.qty} {row.symbol} {limit}"


def positions(as_json: AsJson = False) -> None:
    """Show open positions and the stops that protect them."""
    rows = held_positions(_operations())
    if as_json:
        print_json({"positions": rows})
        return
    columns = ("symbol", "qty", "average price", "strategy", "since", "stop", "target", "protected")
    cells = [
        (
            r.symbol,
            r.qty,
            r.average_price,
            r.strategy,
            r.entry_session,
            r.stop,
            r.target,
            "yes" if r.protected else "NO",
        )
        for r in rows
    ]
    print_rows("Positions", columns, cells, empty="No position is open.")


def signals(recent: Recent = 20, as_json: AsJson = False) -> None:
    """Show the latest signals."""
    scans = _operations().latest(Stream.SIGNALS, ScanCompleted, recent * 5)[::-1]
    found = [
        s
        for heard in scans
        if isinstance(heard.message, ScanCompleted)
        for s in heard.message.signals
    ][-recent:]
    if as_json:
        print_json({"signals": found})
        return
    columns = ("session", "symbol", "strategy", "direction", "price", "stop", "target", "score")
    rows = [
        (
            s.session,
            s.symbol,
            s.strategy,
            s.direction.value,
            s.reference_price,
            s.stop,
            s.target,
            f"{s.score:.3f}",
        )
        for s in found
    ]
    print_rows("Signals", columns, rows, empty="No strategy has given a signal yet.")


def logs(
    recent: Recent = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the services' logs, merged by time."""
    folder = Path(find_stack(os.environ).log_dir)
    if not folder.is_dir():
        raise UserError(
            f"There are no logs at {folder}; containers' logs are shown by `docker compose logs`."
        )
    for line in tail(folder, recent):
        _print_line(line, as_json)
    if follow:
        for line in follow_logs(folder):
            _print_line(line, as_json)


def _print_line(line: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(line)
        return
    shown = {
        key: value
        for key, value in line.items()
        if key not in ("ts", "level", "event", "service", "mode")
    }
    facts = " ".join(f"{key}={value}" for key, value in shown.items() if value not in (None, ""))
    head = f"{str(line.get('ts', ''))[:23]} {line.get('service', ''):<13} {line.get('event', '')}"
    terminal.print(
        f"{head} {facts}",
        style="red" if line.get("level") in ("error", "critical") else None,
        markup=False,
    )
