from services.auditor.chain.sequence_gaps import Gap, WriterSequences
from tests.unit.auditor.chains import entry


def heard(*seqs: int) -> WriterSequences:
    numbers = WriterSequences()
    for seq in seqs:
        numbers.add(entry(seq))
    return numbers


def test_numbers_out_of_turn_are_no_gap() -> None:
    numbers = heard(2, 1, 4, 3)
    assert numbers.missing_gaps() == []
    assert numbers.to_lists() == {"risk-gate": [4]}


def test_a_number_that_comes_again_is_noted() -> None:
    assert heard(1, 2).add(entry(2)) == Gap("risk-gate", "repeated", 2, 2)
    assert heard(1, 3).add(entry(3)) == Gap("risk-gate", "repeated", 3, 3)


def test_what_a_whole_reading_later_has_not_shown_is_missing() -> None:
    numbers = heard(1, 4, 7)
    assert numbers.overdue_gaps() == []
    assert numbers.overdue_gaps() == [Gap("risk-gate", "missing", 2, 3)]
    numbers.add(Gap("risk-gate", "missing", 2, 3).payload("now"))
    assert numbers.overdue_gaps() == [Gap("risk-gate", "missing", 5, 6)]
    numbers.add(Gap("risk-gate", "missing", 5, 6).payload("now"))
    assert numbers.overdue_gaps() == []
    assert numbers.to_lists() == {"risk-gate": [7]}


def test_what_comes_before_the_next_reading_is_not_missing() -> None:
    numbers = heard(1, 3)
    assert numbers.overdue_gaps() == []
    numbers.add(entry(2))
    assert numbers.overdue_gaps() == []


def test_they_go_on_where_they_were_saved() -> None:
    again = WriterSequences(heard(1, 2, 5).to_lists())
    assert again.missing_gaps() == [Gap("risk-gate", "missing", 3, 4)]
    again.add(entry(4))
    again.add(entry(3))
    assert again.to_lists() == {"risk-gate": [5]}
