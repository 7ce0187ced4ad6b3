from services.auditor.chain.sequence_gaps import Gap, Numbers
from tests.unit.auditor.chains import entry


def heard(*seqs: int) -> Numbers:
    numbers = Numbers()
    for seq in seqs:
        numbers.take(entry(seq))
    return numbers


def test_numbers_out_of_turn_are_no_gap() -> None:
    numbers = heard(2, 1, 4, 3)
    assert numbers.missing() == []
    assert numbers.saved() == {"risk-gate": [4]}


def test_a_number_that_comes_again_is_noted() -> None:
    assert heard(1, 2).take(entry(2)) == Gap("risk-gate", "repeated", 2, 2)
    assert heard(1, 3).take(entry(3)) == Gap("risk-gate", "repeated", 3, 3)


def test_what_a_whole_reading_later_has_not_shown_is_missing() -> None:
    numbers = heard(1, 4, 7)
    assert numbers.overdue() == []
    assert numbers.overdue() == [Gap("risk-gate", "missing", 2, 3)]
    numbers.take(Gap("risk-gate", "missing", 2, 3).payload("now"))
    assert numbers.overdue() == [Gap("risk-gate", "missing", 5, 6)]
    numbers.take(Gap("risk-gate", "missing", 5, 6).payload("now"))
    assert numbers.overdue() == []
    assert numbers.saved() == {"risk-gate": [7]}


def test_what_comes_before_the_next_reading_is_not_missing() -> None:
    numbers = heard(1, 3)
    assert numbers.overdue() == []
    numbers.take(entry(2))
    assert numbers.overdue() == []


def test_they_go_on_where_they_were_saved() -> None:
    again = Numbers(heard(1, 2, 5).saved())
    assert again.missing() == [Gap("risk-gate", "missing", 3, 4)]
    again.take(entry(4))
    again.take(entry(3))
    assert again.saved() == {"risk-gate": [5]}
