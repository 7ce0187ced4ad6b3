"""Checks a chain from its files alone: links, form, numbers, checkpoints, the gate's signatures.

Called by `kobe audit verify` and the demo. Streams through any length in the memory of one record;
changes nothing. What it trusts is pinned outside the folder; what is absent counts against it.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.auditor.chain.chain_state import GENESIS, SEALED, STOPPED, ChainState
from services.auditor.chain.record import BrokenLink, NotCanonical, chain_id, open_line
from services.auditor.chain.recovery import read_genesis
from services.auditor.chain.sequence_gaps import GAP, Gap, read_gap
from services.auditor.chain.trust import Trust
from services.auditor.evidence.checkpoint_checks import CheckpointChecks
from services.auditor.evidence.findings import (
    GRAVITY,
    HARMLESS,
    ChainFault,
    ChainFinding,
    Verdict,
)
from services.auditor.evidence.message_checks import OBEYED, MessageChecks
from services.auditor.evidence.snapshot import RecordPlace, Resume, Snapshot
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonMapping

Visit = Callable[[int, JsonMapping, bytes, RecordPlace], None]
# Three times the cadence, at least five minutes: a restart or a slow disk is no alarm.
FRESH_CADENCES, FRESH_SECONDS = 3, 300
# Records that mean more to an examination than their place and number.
NOTABLE = {GENESIS, SEALED, GAP, *OBEYED}


def verify_folder(
    folder: Path,
    *,
    trust: Trust | None = None,
    anchors: Sequence[Path] = (),
    witnesses: Sequence[Path] = (),
    as_of: dt.datetime | None = None,
    resume: Resume | None = None,
    visit: Visit | None = None,
) -> Verdict:
    """Judge the chain in `folder` by its own checkpoints, by `anchors` and by witnesses' folders.

    `as_of` demands that the chain reaches up to then, or says that it was stopped before. Without a
    pinned key in `trust` the chain's own word is taken, and the verdict says so. `resume` goes on
    where a verification ended; `visit` sees each record before it is counted. Raises UserError if
    there is nothing to judge.
    """
    judged_by = trust or Trust()
    examination = _Examination(judged_by, as_of, visit)
    # Without pinned keys no witness can be believed, nor accused.
    seen = witnesses if judged_by.auditor else ()
    try:
        examination.run(Snapshot(folder, anchors, seen, resume))
    except ChainFault as fault:
        return examination.verdict(fault.finding, str(fault), fault.index)
    return examination.conclusion()


class _Examination:
    def __init__(self, trust: Trust, as_of: dt.datetime | None, visit: Visit | None) -> None:
        self._trust, self._as_of, self._visit = trust, as_of, visit
        self._state = ChainState()
        self._checks: CheckpointChecks | None = None
        self._messages = MessageChecks(trust.keyring)
        self._torn = False
        self._gap: tuple[int | None, str] | None = None
        self._cadence: Mapping[str, int] = {}
        self._last: object = None
        self._refusals: list[str] = []

    def run(self, snapshot: Snapshot) -> None:
        """One pass. What most records have in common is done here, for this is where time goes."""
        checks = self._start(snapshot)
        state, add, visit = self._state, self._state.add, self._visit
        for index, line in enumerate(snapshot.lines(), start=state.height):
            try:
                payload, this_hash = open_line(line, state.head)
                if visit:
                    place = RecordPlace(snapshot.reading, snapshot.reading_from, state)
                    visit(index, payload, line, place)
                kind = self._last = payload.get("type")
                if kind in NOTABLE or index == checks.sealed:
                    self._look_at(payload, index, checks)
                if repeated := add(payload, line, this_hash):
                    self._note_gap(repeated, index)
            except BrokenLink as error:
                sentence = f"record {index}: {error}"
                raise ChainFault(ChainFinding.BROKEN_LINK, sentence, index) from error
            except (NotCanonical, TypeError) as error:
                sentence = f"record {index}: {error}"
                raise ChainFault(ChainFinding.NOT_CANONICAL, sentence, index) from error
            if state.tree.size >= checks.next_size:
                checks.check()
        self._end(snapshot, checks)

    def _start(self, snapshot: Snapshot) -> CheckpointChecks:
        """At the beginning of the chain, or where an earlier verification ended."""
        self._refusals, resume = snapshot.refusals, snapshot.resume
        if resume:
            self._state = resume.position.chain_state()
        checks = self._checks = CheckpointChecks(snapshot, self._state, self._trust)
        if resume:
            self._begin(read_genesis(snapshot.folder) or {}, checks)
            checks.sealed = resume.sealed
            checks.check()
        return checks

    def _look_at(self, payload: JsonMapping, index: int, checks: CheckpointChecks) -> None:
        """The beginning, a checkpoint named or due to be, a gap, a message that is obeyed."""
        if index == 0:
            self._begin(payload, checks)
        checks.name(payload, index)
        self._messages.check(payload, index)
        if payload.get("type") == GAP:
            self._note_gap(read_gap(payload), index)

    def _begin(self, payload: JsonMapping, checks: CheckpointChecks) -> None:
        if payload.get("type") != GENESIS:
            sentence = "the first record is not the genesis: the chain's beginning is missing"
            raise ChainFault(ChainFinding.TRUNCATED, sentence, 0)
        key, self._cadence = _promises(payload)
        if self._trust.auditor not in (None, key):
            sentence = "the chain was begun with another key than the one it is checked by"
            raise ChainFault(ChainFinding.BAD_SIGNATURE, sentence, 0)
        checks.begin(chain_id(payload), key, self._cadence)

    def _end(self, snapshot: Snapshot, checks: CheckpointChecks) -> None:
        self._torn = snapshot.torn or checks.torn
        if self._state.height == 0:
            sentence = "there is no record: not even the genesis is left"
            raise ChainFault(ChainFinding.TRUNCATED, sentence, 0)
        checks.end()
        if self._refusals:
            sentence = f"a witness refuses to countersign: {self._refusals[0]}"
            raise ChainFault(ChainFinding.REWRITTEN, sentence)
        for gap in self._state.numbers.missing_gaps():
            self._note_gap(gap, None)

    def _note_gap(self, gap: Gap, index: int | None) -> None:
        """The first one is told, unless something graver is found."""
        numbers = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
        fate = "are not in the chain" if gap.kind == "missing" else "came twice"
        self._gap = self._gap or (index, f"of {gap.writer}'s numbers, {numbers} {fate}")

    # --- the verdict ------------------------------------------------------------------------------

    def conclusion(self) -> Verdict:
        found = self._soft_findings()
        is_proof = found.keys() <= HARMLESS
        gravest = next((each for each in GRAVITY if each in found), None)
        if gravest is not None:
            index, sentence = found[gravest]
            return self.verdict(gravest, sentence, index, is_proof=is_proof)
        rest = self._state.height - (self._checks.sealed if self._checks else 0)
        tail = f"; the last {rest} are under no checkpoint yet" if rest else ""
        sentence = f"every record and every checkpoint verifies{tail}"
        return self.verdict(ChainFinding.OK, sentence, None, is_proof=True)

    def _soft_findings(self) -> dict[ChainFinding, tuple[int | None, str]]:
        """What is found while the records themselves hold together."""
        checks = self._checks
        if checks is None:
            return {}
        told: dict[ChainFinding, tuple[int | None, str]] = {}
        if self._messages.forged:
            told[ChainFinding.BAD_SIGNATURE] = self._messages.forged
        if self._gap:
            told[ChainFinding.WRITER_GAP] = self._gap
        if self._torn:
            told[ChainFinding.TORN_TAIL] = (None, "the end is torn; every whole record verifies")
        sentences = {
            ChainFinding.UNSEALED: checks.unsealed_sentence(),
            ChainFinding.NOT_COSIGNED: checks.unwitnessed_sentence(
                None if self._has_stopped(checks) else self._as_of
            ),
            ChainFinding.STALE: self._stale_sentence(checks),
            ChainFinding.KEY_NOT_PINNED: self._unpinned_sentence(),
        }
        return told | {each: (None, text) for each, text in sentences.items() if text}

    def _stale_sentence(self, checks: CheckpointChecks) -> str:
        if self._as_of is None:
            return ""
        age = self._as_of.timestamp() - checks.sealed_at
        bound = max(FRESH_CADENCES * self._cadence["seconds"], FRESH_SECONDS)
        if age < -bound:
            return f"the newest checkpoint is {-age:.0f} s in the future: the clock was turned back"
        if age <= bound or self._has_stopped(checks):
            return ""
        return (
            f"the newest checkpoint is {_duration(age)} old and no stop is recorded: the auditor "
            "has not run since, or the end was cut; for an archived copy say --as-of"
        )

    def _has_stopped(self, checks: CheckpointChecks) -> bool:
        """The chain itself says that it ends here, under a checkpoint."""
        return self._last == STOPPED and checks.sealed == self._state.height

    def _unpinned_sentence(self) -> str:
        if self._trust.auditor is not None:
            return ""
        return (
            "key NOT pinned: all holds together by the key that the chain itself names, which a "
            "forger would have replaced too; give --keys"
        )

    def verdict(
        self, finding: ChainFinding, sentence: str, index: int | None, *, is_proof: bool = False
    ) -> Verdict:
        checks = self._checks
        return Verdict(
            exit_code=int(finding),
            sentence=sentence,
            height=self._state.height,
            head=self._state.head,
            checkpoints=checks.checked if checks else 0,
            index=index,
            sealed=checks.sealed if checks else 0,
            sealed_at=_instant(checks.sealed_at) if checks and checks.sealed_at else None,
            cosigned=checks.cosigned if checks else 0,
            signatures=self._messages.checked,
            is_proof=is_proof,
        )


def _promises(genesis: JsonMapping) -> tuple[bytes, Mapping[str, int]]:
    """The auditor's key and the cadence that the genesis names."""
    try:
        cadence = genesis["cadence"]
        if not all(type(cadence[name]) is int for name in ("records", "seconds")):
            raise TypeError("no number")
        return bytes.fromhex(genesis["auditor_key"]["public"]), cadence
    except (KeyError, TypeError, ValueError) as error:
        sentence = "the genesis does not name the auditor's key and the cadence of its checkpoints"
        raise ChainFault(ChainFinding.NOT_CANONICAL, sentence, 0) from error


def _instant(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _duration(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def require_proof(verdict: Verdict) -> Verdict:
    """Raises UserError, with the finding's exit code, unless the records are those signed."""
    if not verdict.is_proof:
        raise UserError(
            f"The chain does not prove anything as it stands: {verdict.sentence}.",
            exit_code=verdict.exit_code,
        )
    return verdict
