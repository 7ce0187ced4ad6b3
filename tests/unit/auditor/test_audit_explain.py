import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.checkpoints import FILE
from services.auditor.chain.trust import Trust, witness_keys
from services.auditor.chain.witness_files import REFUSAL
from services.auditor.evidence.explain import Explanation, explain
from services.auditor.evidence.indexed_chain import IndexedChain
from services.auditor.stream_sweep import StreamEntry
from services.auditor.witness.witness import Witness
from shared.domain.errors import UserError
from shared.runtime.clock import ManualClock
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from shared.schemas.messages import BarsReady, Message, OrderApproved, QuotesSeen, ScanCompleted
from shared.schemas.streams import STREAM_OF
from shared.schemas.values import Direction, Quote, Signal
from tests.builders import NOON, approval, envelope, scan_ref
from tests.unit.auditor.chains import DAY, begun, grown, naming, sealed

DECISION = "DEC_20240105_143500_AAPL_ABCDEF"


def signal(symbol: str) -> Signal:
    return Signal(
        session=dt.date(2024, 1, 4),
        symbol=symbol,
        strategy="donchian",
        direction=Direction.LONG,
        reference_price=Decimal("180.00"),
        stop=Decimal("170.00"),
        target=None,
        time_stop_bars=20,
        score=Decimal("1.5"),
        reason="breakout",
        indicators={"highest": Decimal("179.50")},
    )


def quote(symbol: str) -> Quote:
    return Quote(symbol=symbol, bid=Decimal("179.99"), ask=Decimal("180.01"), at=NOON)


def another(message: OrderApproved) -> OrderApproved:
    return approval(
        symbol="MSFT",
        decision_id="DEC_OTHER",
        client_order_id="k81-other",
        signal_id="s2",
        scan_id=message.scan_id,
    )


def told(number: int, message: Message, **changes: Any) -> dict[str, Any]:
    fields = to_fields(envelope(message, seq=number, **changes))
    return StreamEntry(STREAM_OF[type(message)].key, f"{number}-0", fields).payload()


class Story:
    """A chain about two decisions of one scan, and one of another scan, over two days."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.signer = folder / "chain", Signer.generate()
        self.journal = begun(self.folder, self.signer)
        sealed(self.journal)
        scan = scan_ref()
        bars = BarsReady(
            scan=scan,
            through=scan.last_completed,
            digest="bars",
            symbols=2,
            coverage=Decimal(1),
            sufficient=True,
            stale=(),
            refused={},
        )
        found = ScanCompleted(
            scan=scan,
            part=1,
            parts=1,
            exits=(),
            signals=(signal("AAPL"), signal("MSFT")),
            bars_digest="bars",
        )
        quotes = QuotesSeen(
            scan=scan, part=1, parts=1, quotes=(quote("AAPL"), quote("MSFT")), unquoted=()
        )
        grown(self.journal, told(1, bars), told(1, found), told(2, quotes))
        grown(self.journal, told(1, another(approval())))
        sealed(self.journal)
        self.next_day(told(2, approval()), told(2, bars, correlation_id="SCAN_OTHER"))
        sealed(self.journal)
        self.indexes = folder / "indexes"

    def next_day(self, *payloads: dict[str, Any]) -> None:
        first = [naming(self.journal)] if self.journal.unsealed == 0 else []
        self.journal.append([*first, *payloads], day=DAY + dt.timedelta(days=1))

    @contextmanager
    def chain(self, **changes: Any) -> Iterator[IndexedChain]:
        trust = changes.get("trust", Trust(self.signer.public))
        witnesses = changes.get("witnesses", ())
        chain = IndexedChain.open(self.folder, trust, witnesses, self.indexes)
        try:
            chain.update()
            yield chain
        finally:
            chain.index.close()

    def explain(self, decision_id: str, **changes: Any) -> Explanation:
        with self.chain(**changes) as chain:
            return explain(chain, decision_id)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path)
    yield story
    story.journal.close()


def test_all_that_led_to_a_decision_is_told_in_order_and_of_its_symbol_alone(story: Story) -> None:
    told = story.explain(DECISION)
    assert (told.symbol, told.approved, told.scan_id) == ("AAPL", True, "SCAN_20240105_143500")
    assert [step.type for step in told.steps] == [
        "BarsReady",
        "ScanCompleted",
        "QuotesSeen",
        "OrderApproved",
    ]
    bars, found, quotes, decision = told.steps
    assert bars.facts["digest"] == found.facts["bars_digest"] == "bars"
    assert [each["indicators"] for each in found.facts["signals"]] == [{"highest": "179.50"}]
    assert [each["symbol"] for each in quotes.facts["quotes"]] == ["AAPL"]
    assert decision.facts["limit_price"] == "180.19"
    assert (decision.index, decision.config_pin, decision.code_digest) == (7, "pin", "code")


def test_a_decision_that_is_not_in_the_chain_is_one_sentence(story: Story) -> None:
    with pytest.raises(UserError, match="holds no decision"):
        story.explain("DEC_NEVER")


def test_what_comes_after_the_index_was_built_is_verified_and_told_too(story: Story) -> None:
    story.explain(DECISION)
    later = approval(decision_id="DEC_LATER", client_order_id="k81-later", signal_id="s3")
    grown(story.journal, told(3, later))
    assert [step.index for step in story.explain("DEC_LATER").steps] == [2, 3, 4, 10]
    sealed(story.journal)
    story.next_day(told(4, approval(decision_id="DEC_LAST", client_order_id="k81-last")))
    assert story.explain("DEC_LAST").steps[-1].index == 12
    assert story.explain(DECISION).steps[-1].facts["decision_id"] == DECISION


@pytest.mark.parametrize("damage", ["gone", "emptied", "garbage", "of another layout"])
def test_an_index_that_is_gone_or_broken_is_built_anew(story: Story, damage: str) -> None:
    before = story.explain(DECISION)
    (file,) = story.indexes.iterdir()
    if damage == "of another layout":
        with closing(sqlite3.connect(file)) as store:
            store.execute("UPDATE facts SET value = '0' WHERE name = 'version'")
            store.commit()
    else:
        file.write_bytes(b"" if damage == "emptied" else b"SQLite format 4" * 100)
    if damage == "gone":
        file.unlink()
    assert story.explain(DECISION) == before


@pytest.mark.parametrize("day", [0, 1])
def test_a_tampered_record_is_found_before_a_story_is_told(story: Story, day: int) -> None:
    story.explain(DECISION)
    file = sorted(story.folder.glob("*.jsonl"))[day]
    data = file.read_bytes()
    file.write_bytes(data.replace(b"AAPL", b"MSFT", 1))
    with pytest.raises(UserError) as refused:
        story.explain(DECISION)
    assert refused.value.exit_code == 3
    file.write_bytes(data)
    assert story.explain(DECISION).approved


def test_what_no_checkpoint_covers_is_told_as_such(story: Story) -> None:
    assert all(step.is_sealed for step in story.explain(DECISION).steps)
    notes = (story.folder / FILE).read_bytes()
    (story.folder / FILE).write_bytes(notes[:-200])
    assert [step.is_sealed for step in story.explain(DECISION).steps] == [True, True, True, False]


@pytest.mark.parametrize("damage", ["gone", "emptied", "garbage"])
def test_checkpoints_that_are_gone_are_missed_before_a_story_is_told(
    story: Story, damage: str
) -> None:
    story.explain(DECISION)
    file = story.folder / FILE
    whole = file.read_bytes()
    file.write_bytes(b"x\n\n" + whole if damage == "garbage" else b"")
    if damage == "gone":
        file.unlink()
    with pytest.raises(UserError, match="does not prove anything"):
        story.explain(DECISION)


def test_a_story_is_judged_by_the_key_that_is_pinned_now(story: Story) -> None:
    story.explain(DECISION)
    with pytest.raises(UserError) as refused:
        story.explain(DECISION, trust=Trust(Signer.generate().public))
    assert refused.value.exit_code == 6
    with pytest.raises(UserError) as refused:
        story.explain(DECISION, trust=Trust())
    assert refused.value.exit_code == 10


def test_no_story_is_told_that_the_witness_has_not_seen(story: Story, tmp_path: Path) -> None:
    own, witness = tmp_path / "witness", Signer.generate()
    own.mkdir()
    trust = Trust(story.signer.public, witness_keys({"witness": witness.public}))
    clock = ManualClock(NOON)
    Witness(story.folder, own, witness, story.signer.public, clock).look()
    assert story.explain(DECISION, trust=trust, witnesses=[own]).approved
    assert story.explain(DECISION, trust=trust, witnesses=[own]).approved
    (own / REFUSAL).write_text("a fork")
    with pytest.raises(UserError, match="a witness refuses"):
        story.explain(DECISION, trust=trust, witnesses=[own])


def test_the_index_does_not_believe_itself(story: Story) -> None:
    """A line moved under a fingerprint that nobody can set still fails the block's own hash."""
    with story.chain() as chain:
        chain.index.store.execute("UPDATE blocks SET node = ?", (b"\0" * 32,))
        assert explain(chain, DECISION).approved
        nodes = chain.index.store.execute("SELECT node FROM blocks").fetchall()
        assert (b"\0" * 32,) not in nodes
