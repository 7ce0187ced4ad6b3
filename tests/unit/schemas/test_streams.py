from shared.schemas.messages import Message
from shared.schemas.streams import (
    MESSAGE_TYPES,
    READS,
    STREAM_OF,
    WRITER,
    ServiceName,
    Stream,
    package_of,
)


def subclasses() -> set[type[Message]]:
    return set(Message.__subclasses__())


def test_every_message_has_a_stream_and_every_stream_one_writer() -> None:
    assert set(STREAM_OF) == subclasses()
    assert set(WRITER) == set(Stream)
    assert set(MESSAGE_TYPES.values()) == subclasses()


def test_the_executor_obeys_nobody_but_the_gate() -> None:
    assert WRITER[Stream.ORDERS] is ServiceName.RISK_GATE
    assert [name for name, reads in READS.items() if Stream.ORDERS in reads] == [
        ServiceName.EXECUTOR
    ]


def test_nobody_reads_what_it_writes() -> None:
    assert not [(name, s) for name, reads in READS.items() for s in reads if WRITER[s] is name]


def test_kebab_case_becomes_the_package_name() -> None:
    assert package_of(ServiceName.RISK_GATE) == "risk_gate"
