"""The journal: what is claimed is on disk, and is claimed once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.executor.orders.journal import OrderJournal, RowState
from shared.domain.errors import UserError
from tests.builders import NOON


@pytest.fixture
def journal(tmp_path: Path) -> OrderJournal:
    return OrderJournal(tmp_path / "state" / "journal.sqlite")


def test_a_decision_is_claimed_once(journal: OrderJournal) -> None:
    assert journal.claim("DEC", "k81-a", "digest", at=NOON)
    assert not journal.claim("DEC", "k81-a", "digest", at=NOON)
    row = journal.row("DEC")
    assert row is not None
    assert (row.state, row.created_at, row.request_digest) == (RowState.SENDING, NOON, "digest")


@pytest.mark.parametrize("state", [RowState.TAKEN, RowState.ENDED, RowState.REFUSED])
def test_what_was_taken_ended_or_refused_is_never_claimed_again(
    journal: OrderJournal, state: RowState
) -> None:
    journal.claim("DEC", "k81-a", "digest", at=NOON)
    journal.note("DEC", state, "b-1")
    assert not journal.claim("DEC", "k81-a", "digest", at=NOON)


def test_what_was_surely_not_taken_may_be_claimed_again_under_its_id_alone(
    journal: OrderJournal,
) -> None:
    journal.claim("DEC", "k81-a", "digest", at=NOON)
    journal.note("DEC", RowState.NOT_TAKEN)
    assert not journal.claim("DEC", "k81-b", "digest", at=NOON)
    assert journal.claim("DEC", "k81-a", "digest", at=NOON)


def test_a_refusal_is_final_for_what_was_not_sent_and_says_nothing_of_what_was(
    journal: OrderJournal,
) -> None:
    journal.refuse("UNSENT", "k81-a", at=NOON)
    journal.claim("SENT", "k81-b", "digest", at=NOON)
    journal.refuse("SENT", "k81-b", at=NOON)
    states = [row.state for name in ("UNSENT", "SENT") if (row := journal.row(name))]
    assert states == [RowState.REFUSED, RowState.SENDING]
    assert journal.count_sent() == 1


def test_a_later_note_keeps_the_brokers_id(journal: OrderJournal) -> None:
    journal.claim("DEC", "k81-a", "digest", at=NOON)
    journal.note("DEC", RowState.TAKEN, "b-1")
    journal.note("DEC", RowState.ENDED)
    row = journal.row("DEC")
    assert row is not None
    assert (row.state, row.broker_id) == (RowState.ENDED, "b-1")


CLAIM_AND_DIE = """
import os, signal, sys
from pathlib import Path
from services.executor.orders.journal import OrderJournal
from tests.builders import NOON
OrderJournal(Path(sys.argv[1])).claim("DEC", "k81-a", "digest", at=NOON)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_claim_survives_the_death_of_the_process_right_after_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    died = subprocess.run(
        [sys.executable, "-c", CLAIM_AND_DIE, str(path)], cwd=Path(__file__).parents[3], check=False
    )
    assert died.returncode == -9
    journal = OrderJournal(path)
    assert journal.knows("k81-a")
    assert not journal.empty()


def test_a_journal_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="journal"):
        OrderJournal(tmp_path / "file" / "journal.sqlite")
    (tmp_path / "broken.sqlite").write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(UserError, match="journal"):
        OrderJournal(tmp_path / "broken.sqlite")
