"""What the data-fetcher is asked for, and what it says of bars and quotes.

Run by the service loop. Wishes are recorded here and fulfilled in work.py; nothing is fetched here.
"""

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from shared.runtime.observability.samples import CounterSpec, MetricSample
from shared.runtime.runner.contract import Context, Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.values import Quote, ScanRef, Value

PART = 400
"""Symbols in one QuotesSeen, so that its envelope stays small enough."""


class QuoteWish(Value, frozen=True, kw_only=True):
    """The symbols a scan named, gathered from its parts; asked for when all parts are in."""

    scan: ScanRef
    parts: int
    gathered: tuple[int, ...]
    symbols: tuple[str, ...]
    since: dt.datetime
    fresh: bool = False

    @property
    def key(self) -> str:
        """A scan may ask twice: for all it names, and again for its entries."""
        return f"{self.scan.id}/fresh" if self.fresh else self.scan.id

    @property
    def complete(self) -> bool:
        return len(self.gathered) == self.parts


class Held(Value, frozen=True, kw_only=True):
    """What the archive held when last looked at."""

    through: dt.date
    digest: str
    symbols: int
    coverage: str
    age_sessions: int
    refused: dict[str, int]
    missing: int = 0
    jumps: int = 0


class State(Value, frozen=True, kw_only=True):
    """Wishes by scan id, in the order they came."""

    bars_due: dt.date | None = None
    scans: dict[str, ScanRef] = {}
    quotes: dict[str, QuoteWish] = {}
    held: Held | None = None
    actions_due: dt.date | None = None
    holdings: tuple[str, ...] = ()


Decided = Decision[State]


class BarsChecked(Value, frozen=True, kw_only=True):
    """The archive was looked at, after fetching what could be fetched."""

    ready: m.BarsReady
    age_sessions: int


class QuotesFetched(Value, frozen=True, kw_only=True):
    """The answer to the wish of this key."""

    key: str
    quotes: tuple[Quote, ...]
    unquoted: tuple[str, ...]


class ActionsChecked(Value, frozen=True, kw_only=True):
    """What is announced for the session after `through`."""

    through: dt.date
    seen: m.CorporateActionsSeen


def on_bars_due(state: State, message: m.BarsDue, context: Context[None]) -> Decided:
    """With the bars go the splits and renames of what is held.

    Before each open, after each close.
    """
    through = max(message.through, state.bars_due or message.through)
    return replace(state, bars_due=through, actions_due=through), ()


def on_account_seen(state: State, message: m.AccountSeen, context: Context[None]) -> Decided:
    symbols = tuple(sorted(holding.symbol for holding in message.holdings))
    return replace(state, holdings=symbols), ()


def on_actions_checked(state: State, outcome: ActionsChecked, context: Context[None]) -> Decided:
    is_over = state.actions_due is not None and state.actions_due <= outcome.through
    state = replace(state, actions_due=None if is_over else state.actions_due)
    return state, (outcome.seen,)


def on_scan_due(state: State, message: m.ScanDue, context: Context[None]) -> Decided:
    return replace(state, scans={**state.scans, message.scan.id: message.scan}), ()


def on_scan_completed(state: State, message: m.ScanCompleted, context: Context[None]) -> Decided:
    """Exits are asked for first, then signals; a symbol named twice is asked for once."""
    scan = message.scan
    wish = state.quotes.get(scan.id) or QuoteWish(
        scan=scan, parts=message.parts, gathered=(), symbols=(), since=context.at
    )
    if message.part in wish.gathered:
        return state, ()
    named = [
        *wish.symbols,
        *(each.symbol for each in message.exits),
        *(each.symbol for each in message.signals),
    ]
    wish = replace(
        wish, gathered=(*wish.gathered, message.part), symbols=tuple(dict.fromkeys(named))
    )
    return replace(state, quotes={**state.quotes, scan.id: wish}), ()


def on_quotes_requested(
    state: State, message: m.QuotesRequested, context: Context[None]
) -> Decided:
    """The gate asks once more for the entries of a scan whose exits took long."""
    wish = QuoteWish(
        scan=message.scan,
        parts=1,
        gathered=(1,),
        symbols=message.symbols,
        since=context.at,
        fresh=True,
    )
    return replace(state, quotes={**state.quotes, wish.key: wish}), ()


def on_bars_checked(state: State, outcome: BarsChecked, context: Context[None]) -> Decided:
    ready = outcome.ready
    held = Held(
        through=ready.through,
        digest=ready.digest,
        symbols=ready.symbols,
        coverage=str(ready.coverage),
        age_sessions=outcome.age_sessions,
        refused=ready.refused,
        missing=ready.missing,
        jumps=len(ready.jumps),
    )
    state = replace(state, held=held)
    if ready.scan is None:
        over = state.bars_due is not None and state.bars_due <= ready.through
        return replace(state, bars_due=None if over else state.bars_due), (ready,)
    scans = {key: scan for key, scan in state.scans.items() if key != ready.scan.id}
    return replace(state, scans=scans), (Outgoing(ready, ready.scan.session, ready.scan.id),)


def on_quotes_fetched(state: State, outcome: QuotesFetched, context: Context[None]) -> Decided:
    wish = state.quotes.get(outcome.key)
    if wish is None:
        return state, ()
    quotes = {key: value for key, value in state.quotes.items() if key != outcome.key}
    return replace(state, quotes=quotes), tuple(_parts(wish, outcome))


def _parts(wish: QuoteWish, outcome: QuotesFetched) -> Iterable[Outgoing]:
    """Quotes in parts, then what is unquoted.

    At least one part, so that a scan of nothing goes on too.
    """
    symbols = [*outcome.quotes, *outcome.unquoted]
    chunks = [symbols[start : start + PART] for start in range(0, len(symbols), PART)] or [[]]
    for number, chunk in enumerate(chunks, start=1):
        seen = m.QuotesSeen(
            scan=wish.scan,
            fresh=wish.fresh,
            part=number,
            parts=len(chunks),
            quotes=tuple(each for each in chunk if isinstance(each, Quote)),
            unquoted=tuple(each for each in chunk if isinstance(each, str)),
        )
        yield Outgoing(seen, wish.scan.session, wish.scan.id)


# --- what people see ------------------------------------------------------------------------------


def gauges(state: State) -> Iterable[MetricSample]:
    held = state.held
    if held is None:
        return
    yield MetricSample(
        "kobe_bars_age_sessions", float(held.age_sessions), help="Sessions the archive is behind"
    )
    yield MetricSample(
        "kobe_bars_coverage_ratio",
        float(held.coverage),
        help="Share of symbols with the bar they must have",
    )
    yield MetricSample("kobe_bars_symbols", float(held.symbols), help="Symbols in the archive")
    yield MetricSample(
        "kobe_bars_missing",
        float(held.missing),
        help="Sessions without a bar between a symbol's first and last one",
    )
    yield MetricSample(
        "kobe_bars_unexplained_jumps",
        float(held.jumps),
        help="Symbols with a split-like jump that no corporate action explains",
    )
    for reason, number in held.refused.items():
        yield MetricSample(
            "kobe_bars_refused", float(number), {"reason": reason}, help="Bars refused, by reason"
        )


COUNTERS = (
    CounterSpec("kobe_quotes_seen", "Quotes answered by the vendor"),
    CounterSpec("kobe_quotes_unquoted", "Symbols asked for that had no quote"),
)


def counts(message: m.Message) -> Iterable[MetricSample]:
    if isinstance(message, m.QuotesSeen):
        yield MetricSample("kobe_quotes_unquoted", float(len(message.unquoted)))
        yield MetricSample("kobe_quotes_seen", float(len(message.quotes)))


HANDLERS = handler_table(
    on(m.BarsDue, on_bars_due),
    on(m.ScanDue, on_scan_due),
    on(m.ScanCompleted, on_scan_completed),
    on(m.QuotesRequested, on_quotes_requested),
    on(m.AccountSeen, on_account_seen),
    on(BarsChecked, on_bars_checked),
    on(ActionsChecked, on_actions_checked),
    on(QuotesFetched, on_quotes_fetched),
)
