from shared.runtime.backoff import Backoff


def test_pauses_double_up_to_the_longest_and_never_exceed_it() -> None:
    backoff = Backoff(first=0.1, longest=2.0)
    ceilings = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    for ceiling in ceilings:
        assert ceiling / 2 <= backoff.next_pause() <= ceiling


def test_a_success_begins_anew() -> None:
    backoff = Backoff(first=0.1, longest=2.0)
    for _ in range(1000):
        backoff.next_pause()
    backoff.reset()
    assert backoff.next_pause() <= 0.1
