"""The stack at a glance: what it is doing, and everything that is away or halted. Read-only.

Called by `kobe status`. `look` gathers, `problems` judges what was gathered.
"""

import datetime as dt
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from services.console.stack.reader import ServiceStatus, StackReader, StreamMessage
from services.console.stack.readiness import reasons_by_service
from services.console.views.positions import drifting_symbols, members, position_rows
from shared.domain.market.timetable import Occasion
from shared.runtime.clock import Clock, SystemClock
from shared.schemas import messages as m
from shared.schemas.json_types import JsonMapping
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode, TradingState

LOW_DISK = 1 << 30
"""Bytes: a day of chain and logs is far less, and Redis needs twice its file to rewrite it."""
FULL_DISK_SHARE = 0.05
BROKER_SILENCE = 900.0
"""Seconds: three reconciles (reconcile_seconds = 300) in a row have not come."""


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    free_bytes: int
    free_share: float

    @property
    def is_low(self) -> bool:
        return self.free_bytes < LOW_DISK or self.free_share < FULL_DISK_SHARE


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """`halts`: service -> why it is halted, in its own words; `kill` is the last kill's reason.

    Money in dollars.

    `not_ready` has the reasons of each service that could be asked; `drifts` the symbols on which
    our books and the broker disagree; ages are in seconds.
    """

    mode: str
    account: str
    config_pin: str
    halted: bool
    halts: dict[str, tuple[str, ...]]
    kill: str
    kill_id: str
    has_kill_log: bool
    kill_file: str
    trading_state: str
    session: str
    in_session: bool
    equity: str
    cash: str
    budget_used: str
    open_positions: int
    unprotected: tuple[str, ...]
    drifts: tuple[str, ...]
    last_scan: str
    last_scan_age: float | None
    scan_aborted: str
    next_scan: str
    bars_through: str
    bars_sufficient: bool
    broker_seen_age: float | None
    chain_height: int
    dead_letters: int
    disk: Disk | None
    services: list[ServiceStatus]
    not_ready: dict[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


def look(client: StackReader, clock: Clock | None = None) -> Overview:
    """Ask Redis, the services and the disk, and judge the answers."""
    now = (clock or SystemClock()).now()
    view, (kill_id, kill), halts = client.kill_view(), client.last_kill(), client.halts()
    gate, executor = client.state(ServiceName.RISK_GATE), client.state(ServiceName.EXECUTOR)
    scheduler = client.state(ServiceName.SCHEDULER)
    opened = _last(client, Stream.SCHEDULE, m.SessionOpened)
    scan = _last(client, Stream.SIGNALS, m.ScanCompleted)
    bars = _last(client, Stream.BARS, m.BarsReady)
    broker = _last(client, Stream.EXECUTIONS, m.AccountSeen)
    envelope = opened.envelope if opened else None
    seen = Overview(
        mode=envelope.mode.value if envelope else "",
        account=envelope.account if envelope else "",
        config_pin=envelope.config_pin if envelope else "",
        halted=bool(halts),
        halts=halts,
        kill=str(kill.get("why", "")),
        kill_id=kill_id,
        has_kill_log=view.last_id is not None,
        kill_file=_existing(client.address.kill_file),
        trading_state=str(gate.get("book.trading_state", "active")),
        session=str(gate.get("book.session") or executor.get("session") or ""),
        in_session=_in_session(scheduler),
        equity=str(gate.get("book.equity", "")),
        cash=str(gate.get("book.cash", "")),
        budget_used=str(gate.get("book.used", "0")),
        open_positions=sum(name.startswith("positions:") for name in executor),
        unprotected=tuple(row.symbol for row in position_rows(executor) if not row.protected),
        drifts=tuple(drifting_symbols(client)),
        last_scan=scan.message.scan.id if scan else "",
        last_scan_age=_age(scan, now),
        scan_aborted=scan.message.aborted if scan else "",
        next_scan=_next_scan(scheduler, now),
        bars_through=bars.message.through.isoformat() if bars else "",
        bars_sufficient=bars.message.sufficient if bars else False,
        broker_seen_age=_age(broker, now),
        chain_height=int(client.state(ServiceName.AUDITOR).get("height", 0)),
        dead_letters=client.dead_letters(),
        disk=_disk(client.address.audit_dir),
        services=client.services(),
        not_ready=reasons_by_service(client.address.readiness_urls),
    )
    return replace(seen, problems=tuple(problems(seen)))


def problems(seen: Overview) -> Iterator[str]:
    """A sentence on everything that keeps the stack from trading, or soon will."""
    yield from _halts(seen)
    for service in seen.services:
        if not service.active:
            yield f"{service.service} is away: nobody holds its lease."
    for name, reasons in seen.not_ready.items():
        if reasons:
            yield f"{name} is not ready: {'; '.join(reasons)}."
    if not seen.bars_through:
        yield "No bars have arrived yet."
    elif not seen.bars_sufficient:
        yield f"The bars through {seen.bars_through} cover too few symbols; nothing is scanned."
    if seen.scan_aborted:
        yield f"The last scan, {seen.last_scan}, was given up: {seen.scan_aborted}."
    if seen.in_session and seen.mode != Mode.SIM and _is_old(seen.broker_seen_age):
        yield f"The broker has not been seen {_since(seen.broker_seen_age)}."
    if seen.drifts:
        yield f"Our books and the broker disagree on {', '.join(seen.drifts)}."
    if seen.unprotected:
        yield f"No stop protects {', '.join(seen.unprotected)}."
    if seen.disk and seen.disk.is_low:
        free = seen.disk.free_bytes / (1 << 30)
        yield f"The disk of {seen.disk.path} is nearly full: {free:.1f} GiB free."


def _halts(seen: Overview) -> Iterator[str]:
    if not seen.has_kill_log:
        yield "The kill log is missing from Redis: everything is halted until init-streams has run."
    elif seen.halted:
        yield f"Halted: {_why_halted(seen)}; look, then clear it with `kobe resume`."
    if seen.kill_file:
        yield f"Halted by the kill file {seen.kill_file}; remove it, then run `kobe resume`."
    if seen.trading_state != TradingState.ACTIVE:
        yield f"The risk-gate is {seen.trading_state}: only exits pass until `kobe activate`."


def _why_halted(seen: Overview) -> str:
    """Each reason once, and who gives it unless all do."""
    reasons: dict[str, list[str]] = {}
    for service, why in seen.halts.items():
        for text in why:
            reasons.setdefault(text, []).append(service)
    return "; ".join(
        text if len(names) == len(seen.halts) else f"{text} ({', '.join(names)})"
        for text, names in reasons.items()
    )


def age_text(seconds: float | None) -> str:
    """`3 min ago`; `never` if it has not happened."""
    if seconds is None:
        return "never"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _since(seconds: float | None) -> str:
    return "yet" if seconds is None else f"since {age_text(seconds)}"


def _is_old(seconds: float | None) -> bool:
    return seconds is None or seconds > BROKER_SILENCE


def _last(client: StackReader, stream: Stream, kind: type[m.Message]) -> Any:
    found = client.latest(stream, kind, 1)
    return found[0] if found else None


def _age(entry: StreamMessage | None, now: dt.datetime) -> float | None:
    """By the server's clock: an entry's id begins with its milliseconds, also in a replay."""
    if entry is None:
        return None
    return max(0.0, now.timestamp() - int(entry.entry_id.partition("-")[0]) / 1000)


def _existing(file: str) -> str:
    return file if Path(file).exists() else ""


def _in_session(scheduler: JsonMapping) -> bool:
    fired = members(scheduler, "fired")
    return Occasion.OPENED.value in fired and Occasion.CLOSED.value not in fired


def _next_scan(scheduler: JsonMapping, now: dt.datetime) -> str:
    """Of this session's slots the next one; empty when they are over, or in a replay."""
    times = scheduler.get("times")
    if not isinstance(times, dict):
        return ""
    slots = [str(times.get(name, "")) for name in ("open_slot_at", "close_slot_at")]
    return next((at for at in slots if at and dt.datetime.fromisoformat(at) > now), "")


def _disk(folder: str) -> Disk | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(path=folder, free_bytes=usage.free, free_share=usage.free / usage.total)
