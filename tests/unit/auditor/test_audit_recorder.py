from collections.abc import Iterator
from pathlib import Path

import pytest

from services.auditor.chain.checkpoints import FILE
from services.auditor.evidence.verify import verify_folder
from services.auditor.stream_sweep import BATCH, StreamEntry, sweep
from shared.domain.errors import InvariantBroken, UserError
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.protocol import entry_order
from shared.runtime.signing import Signer
from shared.schemas.envelope import to_fields
from shared.schemas.messages import BlockAppended, CheckpointSigned, SessionClosed
from shared.schemas.streams import DEAD, KILL_LOG, ServiceName, Stream
from tests.builders import SESSION, approval, envelope
from tests.unit.auditor.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "audit").start()
    yield bench
    bench.stop()


def sample(bench: Bench, name: str) -> float:
    return next(each.value for each in bench.recorder.gauges() if each.name == name)


def test_everything_said_is_in_the_chain_and_the_block_is_announced(bench: Bench) -> None:
    bench.orders(1, 2, 3)
    bench.recorder.turn()
    verdict = verify_folder(bench.folder, trust=bench.trust)
    # Genesis, the record that names its checkpoint, the kill log's own, three orders.
    assert (verdict.exit_code, verdict.height) == (0, 6)
    (block,) = bench.said(BlockAppended)
    assert block == BlockAppended(height=6, head=verdict.head or "", records=5)


def test_a_record_holds_writer_number_type_time_place_and_the_exact_message(bench: Bench) -> None:
    bench.orders(1)
    bench.recorder.turn()
    fields = to_fields(envelope(approval(), seq=1))
    (payload,) = [each for each in bench.payloads() if each.get("stream") == "kobe:orders"]
    entry_id = bench.server.stream("kobe:orders").last_id
    assert payload == {
        "writer": "risk-gate",
        "seq": 1,
        "type": "OrderApproved",
        "at": fields["at"],
        "stream": "kobe:orders",
        "entry_id": entry_id,
        "message": fields,
    }


def test_the_two_open_streams_are_recorded_too_and_its_own_is_not(bench: Bench) -> None:
    bench.server.append(DEAD, {"stream": "kobe:orders", "reason": "not canonical", "fields": "{}"})
    bench.server.append(KILL_LOG, {"why": "drill"})
    for _ in range(3):
        bench.recorder.turn()
    assert len(bench.recorded(DEAD)) == 1
    assert len(bench.recorded(KILL_LOG)) == 2
    assert bench.recorded(Stream.AUDIT.key) == []
    assert len(bench.said(BlockAppended)) == 1


def test_bytes_that_are_no_text_are_kept_letter_by_letter(bench: Bench) -> None:
    bench.server.append(Stream.ORDERS.key, {"type": "OrderApproved", "data": "\udcff\udc80é"})
    bench.recorder.turn()
    (payload,) = [each for each in bench.payloads() if each.get("stream") == "kobe:orders"]
    assert payload["message_hex"] == {
        b"type".hex(): b"OrderApproved".hex(),
        b"data".hex(): "ff80c3a9",
    }
    assert verify_folder(bench.folder, trust=bench.trust).exit_code == 0


@pytest.mark.parametrize(
    "fields",
    [{"seq": "²"}, {"seq": "-1"}, {"seq": "9" * 16}, {"writer": "executor"}, {"seq": ""}, {}],
)
def test_a_number_counts_only_if_it_is_one_and_on_the_writers_own_stream(
    fields: dict[str, str],
) -> None:
    sound = {"writer": "risk-gate", "seq": "7"}
    assert StreamEntry("kobe:orders", "1-0", sound).payload()["seq"] == 7
    changed = {**sound, **fields} if fields else {}
    assert "seq" not in StreamEntry("kobe:orders", "1-0", changed).payload()
    assert "seq" not in StreamEntry(KILL_LOG, "1-0", sound).payload()


def test_nothing_is_written_twice_after_a_restart(bench: Bench) -> None:
    bench.orders(1, 2)
    bench.recorder.turn()
    bench.again()
    bench.orders(3)
    bench.recorder.turn()
    assert bench.recorded(Stream.ORDERS.key) == [
        entry_id for entry_id, _ in bench.server.stream(Stream.ORDERS.key).entries
    ]
    assert verify_folder(bench.folder, trust=bench.trust).exit_code == 0


def test_a_backlog_is_written_in_the_order_of_events_over_all_streams(bench: Bench) -> None:
    for number in range(1, 2 * BATCH):
        bench.clock.advance(0.001)
        bench.orders(number)
        if number % 50 == 0:
            bench.server.append(
                Stream.SCHEDULE.key, to_fields(envelope(SessionClosed(session=SESSION), seq=number))
            )
    seen = sweep(MemoryBus(bench.server, ServiceName.AUDITOR, "other"), {})
    assert not seen.complete
    for _ in range(3):
        bench.recorder.turn()
    assert len(bench.recorded("kobe:orders")) == 2 * BATCH - 1
    ids = [entry_order(str(each["entry_id"])) for each in bench.payloads() if "entry_id" in each]
    assert ids == sorted(ids)


def test_a_session_close_and_a_kill_are_sealed_at_once(bench: Bench) -> None:
    bench.recorder.turn()
    bench.server.append(Stream.SCHEDULE.key, to_fields(envelope(SessionClosed(session=SESSION))))
    bench.recorder.turn()
    bench.server.append(KILL_LOG, {"why": "drill"})
    bench.recorder.turn()
    # The genesis has one too, and its time was signed anew.
    assert len(bench.said(CheckpointSigned)) == 4
    assert verify_folder(bench.folder, trust=bench.trust).checkpoints == 5


def test_a_busy_chain_is_sealed_by_count(bench: Bench) -> None:
    bench.recorder.turn()
    before = len(bench.said(CheckpointSigned))
    bench.orders(*range(1, 256))
    for _ in range(4):
        bench.recorder.turn()
    assert len(bench.said(CheckpointSigned)) == before
    bench.orders(256)
    bench.recorder.turn()
    assert len(bench.said(CheckpointSigned)) == before + 1


def test_a_quiet_chain_is_sealed_after_a_minute(bench: Bench) -> None:
    bench.recorder.turn()
    bench.orders(1)
    bench.recorder.turn()
    before = verify_folder(bench.folder, trust=bench.trust).checkpoints
    for _ in range(7):
        bench.clock.advance(10)
        bench.recorder.turn()
    assert verify_folder(bench.folder, trust=bench.trust).checkpoints == before + 1


def test_what_stops_in_good_order_is_sealed_to_the_last_record(bench: Bench) -> None:
    bench.recorder.turn()
    bench.orders(1)
    bench.recorder.finish()
    verdict = verify_folder(bench.folder, trust=bench.trust)
    assert verdict.sealed == verdict.height
    assert list(bench.payloads())[-1]["type"] == "Stopped"


def test_a_number_that_never_comes_is_noted_in_the_chain_within_two_readings(bench: Bench) -> None:
    bench.orders(1, 3)
    bench.recorder.turn()
    assert verify_folder(bench.folder, trust=bench.trust).index is None
    bench.recorder.turn()
    verdict = verify_folder(bench.folder, trust=bench.trust)
    (noted,) = [at for at, each in enumerate(bench.payloads()) if each.get("type") == "WriterGap"]
    assert (verdict.exit_code, verdict.index) == (8, noted)
    bench.orders(4)
    bench.recorder.turn()
    assert [each for each in bench.payloads() if each.get("type") == "WriterGap"][1:] == []


def test_what_a_writer_trimmed_before_it_was_recorded_is_a_gap(bench: Bench) -> None:
    bench.orders(1, 2, 3)
    bench.recorder.turn()
    bench.orders(4, 5)
    bench.server.trim("kobe:orders", "99999999999999-0")
    bench.orders(6)
    for _ in range(2):
        bench.recorder.turn()
    (gap,) = [each for each in bench.payloads() if each.get("type") == "WriterGap"]
    assert (gap["subject"], gap["first"], gap["last"]) == ("risk-gate", 4, 5)


def test_positions_are_published_for_those_who_trim(bench: Bench) -> None:
    bench.orders(1)
    bench.recorder.turn()
    state = bench.server.hash("kobe:state:auditor")
    assert state["position:orders"].strip('"') == bench.server.stream(Stream.ORDERS.key).last_id
    gate = MemoryBus(bench.server, ServiceName.RISK_GATE, "g")
    assert gate.trim(Stream.ORDERS, "99999999999999-0") == 0  # the executor has not read it


def test_its_own_stream_keeps_an_hour(bench: Bench) -> None:
    for number in range(1, 4):
        bench.orders(number)
        bench.recorder.turn()
        bench.pass_time(1801)
    bench.recorder.turn()
    heights = [
        block.height for block in bench.said(BlockAppended) if isinstance(block, BlockAppended)
    ]
    assert heights == [bench.recorder.journal.height]


def test_a_silent_auditor_says_every_few_seconds_how_far_it_is(bench: Bench) -> None:
    bench.recorder.turn()
    before = dict(bench.server.hash("kobe:state:auditor"))
    bench.clock.advance(1)
    bench.recorder.turn()
    assert bench.server.hash("kobe:state:auditor")["complete_at"] == before["complete_at"]
    bench.clock.advance(5)
    assert sample(bench, "kobe_audit_lag_seconds") == 5
    bench.recorder.turn()
    assert bench.server.hash("kobe:state:auditor")["complete_at"] > before["complete_at"]
    assert sample(bench, "kobe_audit_lag_seconds") == 0


def test_the_gauges_say_how_long_the_chain_is_and_how_much_of_it_is_sealed(bench: Bench) -> None:
    bench.recorder.turn()
    bench.orders(1)
    bench.recorder.turn()
    height = len(list(bench.payloads()))
    assert sample(bench, "kobe_audit_chain_height") == height
    assert sample(bench, "kobe_audit_last_checkpoint_size") == height - 2


def test_a_chain_put_back_to_an_older_copy_stops_the_auditor(bench: Bench) -> None:
    bench.recorder.turn()
    copy = {file.name: file.read_bytes() for file in bench.folder.iterdir()}
    bench.orders(1)
    bench.recorder.turn()
    bench.stop()
    for name, data in copy.items():
        (bench.folder / name).write_bytes(data)
    bench.recorder = bench.make()
    with pytest.raises(InvariantBroken, match="an older copy was put back"):
        bench.recorder.start()


def test_a_second_chain_beside_the_one_that_was_spoken_of_is_refused(
    bench: Bench, tmp_path: Path
) -> None:
    bench.recorder.finish()
    other = bench.make(instance="two", folder=tmp_path / "other")
    with pytest.raises(InvariantBroken, match="are remembered by Redis, but 0 are there"):
        other.start()
    other.journal.close()


def test_another_key_does_not_go_on_with_the_chain(bench: Bench) -> None:
    bench.stop()
    with pytest.raises(UserError, match="was begun with another auditor_key"):
        bench.make(signer=Signer.generate())


def test_while_another_instance_holds_the_lease_it_stands_by(bench: Bench, tmp_path: Path) -> None:
    other = bench.make(instance="two", folder=tmp_path / "other")
    assert not other.start()
    assert "standby: another instance holds the lease" in other.health.reasons
    other.journal.close()


def test_a_torn_end_is_recorded_and_a_torn_note_is_mended(bench: Bench) -> None:
    bench.orders(1)
    bench.recorder.turn()
    file = next(bench.folder.glob("*.jsonl"))
    with file.open("ab") as handle:
        handle.write(b'{"payload":{"at":"20')
    with (bench.folder / FILE).open("ab") as handle:
        handle.write(b"kobe81/audit/torn\n3")
    bench.again()
    (recovered,) = [each for each in bench.payloads() if each.get("type") == "Recovered"]
    assert recovered["torn_bytes"] == 20
    bench.pass_time(61)
    bench.recorder.turn()
    verdict = verify_folder(bench.folder, trust=bench.trust)
    assert (verdict.exit_code, verdict.sealed) == (0, verdict.height)
