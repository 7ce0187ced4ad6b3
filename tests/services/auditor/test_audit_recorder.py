from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from services.auditor.gaps import Gap, Sequence
from services.auditor.journal import Journal
from services.auditor.recorder import Recorder
from services.auditor.verify import verify_folder
from shared.runtime.clock import ManualClock
from shared.runtime.http import Health
from shared.runtime.memory_bus import MemoryBus
from shared.runtime.memory_server import MemoryServer
from shared.runtime.seal import Identity, Sealer
from shared.runtime.signing import Signer
from shared.runtime.telemetry import Metrics
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import BlockAppended, CheckpointSigned, SessionClosed
from shared.schemas.streams import KILL_LOG, ServiceName, Stream
from shared.schemas.values import Mode
from tests.builders import NOON, SESSION, approval, envelope


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(NOON)
        self.server = MemoryServer(self.clock)
        self.signer = Signer.generate()
        self.recorder = self.make("one")

    def make(self, instance: str) -> Recorder:
        return Recorder(
            bus=MemoryBus(self.server, ServiceName.AUDITOR, instance),
            journal=Journal(self.folder),
            signer=self.signer,
            seal=Sealer(ServiceName.AUDITOR, Identity(Mode.SIM, "sim", "pin", "code"), self.clock),
            clock=self.clock,
            metrics=Metrics("auditor"),
            health=Health(self.clock),
            log=structlog.get_logger(),
            chain_id="c",
            checkpoint_records=256,
            checkpoint_seconds=60,
        )

    def orders(self, *numbers: int) -> None:
        for number in numbers:
            self.server.append(Stream.ORDERS.key, to_fields(envelope(approval(), seq=number)))

    def said(self) -> list[object]:
        return [from_fields(fields)[1] for _, fields in self.server.stream(Stream.AUDIT.key).entries]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    assert bench.recorder.start()
    yield bench
    bench.recorder.journal.close()


def test_everything_said_is_in_the_chain_and_the_block_is_announced(bench: Bench) -> None:
    bench.orders(1, 2, 3)
    assert bench.recorder.turn()
    verdict = verify_folder(bench.folder, public_key=bench.signer.public)
    assert (verdict.exit_code, verdict.height) == (0, 5)  # genesis, the kill log's own, three orders
    blocks = [message for message in bench.said() if isinstance(message, BlockAppended)]
    assert blocks[-1].height == 5


def test_nothing_is_written_twice_after_a_restart(bench: Bench) -> None:
    bench.orders(1, 2)
    bench.recorder.turn()
    bench.recorder.journal.close()
    again = bench.make("one")
    again.start()
    bench.orders(3)
    again.turn()
    assert verify_folder(bench.folder).height == 5
    again.journal.close()


def test_a_session_close_and_a_kill_are_sealed_at_once(bench: Bench) -> None:
    bench.recorder.turn()
    bench.server.append(Stream.SCHEDULE.key, to_fields(envelope(SessionClosed(session=SESSION))))
    bench.recorder.turn()
    bench.server.append(KILL_LOG, {"why": "drill"})
    bench.recorder.turn()
    notes = [message for message in bench.said() if isinstance(message, CheckpointSigned)]
    assert len(notes) == 3
    assert verify_folder(bench.folder).checkpoints == 3


def test_a_quiet_chain_is_sealed_after_a_minute(bench: Bench) -> None:
    bench.recorder.turn()
    bench.orders(1)
    bench.recorder.turn()
    before = verify_folder(bench.folder).checkpoints
    for _ in range(7):
        bench.clock.advance(10)
        bench.recorder.turn()
    assert verify_folder(bench.folder).checkpoints == before + 1


def test_a_number_that_never_comes_is_noted_in_the_chain_itself(bench: Bench) -> None:
    bench.orders(1, 3)
    for number in range(4, 80):
        bench.orders(number)
        bench.recorder.turn()
    verdict = verify_folder(bench.folder)
    assert verdict.exit_code == 8


def test_positions_are_published_for_those_who_trim(bench: Bench) -> None:
    bench.orders(1)
    bench.recorder.turn()
    state = bench.server.hash("kobe:state:auditor")
    assert state["position:orders"].strip('"') == bench.server.stream(Stream.ORDERS.key).last_id


def test_numbers_out_of_turn_are_no_gap_and_repeated_ones_are_noted() -> None:
    sequence = Sequence(0)
    assert sequence.take("w", 2) == []
    assert sequence.take("w", 1) == []
    assert sequence.last == 2
    assert sequence.take("w", 2) == [Gap("w", "repeated", 2, 2)]
