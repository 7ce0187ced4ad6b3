"""Builds a universe as of a day.

Candidates, their last bars, proofs of options; resumable like any fetch.

Called by `kobe universe build`. What was fetched or proved is kept beside the result until it is
written.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from services.data_fetcher.backfill.fetch import FetchSource, Report, fetch_units
from services.data_fetcher.backfill.plan import BarsUnit, FetchRequest, units_of
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.bar_columns import join_bars
from services.data_fetcher.universe.ranking import LeftOut, UniverseProof, UniverseRules, judge
from services.data_fetcher.vendor_registry import BarsVendor, ListingsVendor, ShareListing
from shared.domain.errors import UserError
from shared.domain.market.sessions import sessions_between
from shared.runtime.atomic_file import write_file
from shared.runtime.clock import Clock

PROVED_TOGETHER = 40
"""Candidates asked about options at once; no more are asked than the cap needs."""
CALENDAR_DAYS = 1.6
"""Calendar days that surely hold one session more, holidays included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseBuild:
    """`vendor` names whom to ask; `work` is where unfinished work is kept."""

    vendor: str
    bars: BarsVendor
    listings: ListingsVendor
    rules: UniverseRules
    clock: Clock
    work: Path
    concurrency: int
    report: Report
    say: Callable[[str], None]

    def run(self, as_of: dt.date, candidates: Sequence[str] = ()) -> list[UniverseProof]:
        """Every candidate, the chosen first by rank. Raises UserError if none is left."""
        sessions = self._sessions(as_of)
        listed = self._candidates(as_of, candidates)
        request = FetchRequest(
            vendor=self.vendor,
            symbols=tuple(each.symbol for each in listed),
            start=sessions[0],
            end=sessions[-1],
        )
        staging = Staging(self.work, request.key)
        self.say(f"{len(listed)} candidates; bars of {sessions[0]} to {sessions[-1]}")
        units = units_of(request, with_actions=False)
        fetch_units(
            units,
            FetchSource(self.bars, None),
            staging,
            concurrency=self.concurrency,
            clock=self.clock,
            report=self.report,
        )
        bars = join_bars(staging.read_bars(unit) for unit in units if isinstance(unit, BarsUnit))
        judged = judge(listed, bars, sessions[-1], self.rules)
        proofs = self._rank(judged, {each.symbol: each for each in listed}, as_of)
        if not any(proof.rank for proof in proofs):
            raise UserError(
                f"None of {len(listed)} candidates passes as of {as_of}; look at the rules and "
                f"the dates."
            )
        staging.clear()
        self._proof_cache(as_of).unlink(missing_ok=True)
        return proofs

    def _sessions(self, as_of: dt.date) -> list[dt.date]:
        days = dt.timedelta(days=round(self.rules.sessions * CALENDAR_DAYS) + 10)
        found: list[dt.date] = sessions_between(as_of - days, as_of).tolist()
        return found[-self.rules.sessions :]

    def _candidates(self, as_of: dt.date, named: Sequence[str]) -> list[ShareListing]:
        """The vendor's listed stocks, or those of them that are named.

        What it does not list stays a candidate.
        """
        known = {each.symbol: each for each in self.listings.listings(as_of)}
        if not named:
            return list(known.values())
        plain = {symbol: ShareListing(symbol=symbol, name="", exchange="") for symbol in named}
        return [known.get(symbol, plain[symbol]) for symbol in sorted(set(named))]

    # --- options ----------------------------------------------------------------------------------

    def _rank(
        self, judged: Sequence[UniverseProof], listed: dict[str, ShareListing], as_of: dt.date
    ) -> list[UniverseProof]:
        """Ranks for the liquid ones with options, in their order, up to the cap."""
        liquid = [proof for proof in judged if not proof.left_out]
        proved = self._load_proofs(as_of)
        ranked: list[UniverseProof] = []
        others: list[UniverseProof] = []
        for start in range(0, len(liquid), PROVED_TOGETHER):
            group = liquid[start : start + PROVED_TOGETHER]
            if len(ranked) >= self.rules.cap:
                others += [replace(each, left_out=LeftOut.BEYOND_CAP.value) for each in group]
                continue
            self._prove(group, listed, as_of, proved)
            for each in group:
                options = proved[each.symbol]
                if not options:
                    others.append(replace(each, left_out=LeftOut.NO_OPTIONS.value))
                elif len(ranked) < self.rules.cap:
                    ranked.append(replace(each, options=options, rank=len(ranked) + 1))
                else:
                    left = replace(each, options=options, left_out=LeftOut.BEYOND_CAP.value)
                    others.append(left)
            self.say(f"{len(ranked)} of at most {self.rules.cap} proved")
        return [*ranked, *others, *(proof for proof in judged if proof.left_out)]

    def _prove(
        self,
        group: Sequence[UniverseProof],
        listed: dict[str, ShareListing],
        as_of: dt.date,
        proved: dict[str, str],
    ) -> None:
        missing = [each.symbol for each in group if each.symbol not in proved]
        with ThreadPoolExecutor(self.concurrency) as threads:
            found = threads.map(
                lambda symbol: self.listings.has_options(listed[symbol], as_of), missing
            )
            proved.update(zip(missing, found, strict=True))
        write_file(self._proof_cache(as_of), msgspec.json.encode(proved), durable=False)

    def _proof_cache(self, as_of: dt.date) -> Path:
        return self.work / f"options-{self.vendor}-{as_of}.json"

    def _load_proofs(self, as_of: dt.date) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._proof_cache(as_of).read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError):
            return {}
