from shared.domain.spelling import did_you_mean


def test_a_near_name_is_offered() -> None:
    assert did_you_mean("donchain", ["rsi2", "donchian"]) == "did you mean 'donchian'?"


def test_where_nothing_is_near_the_names_are_listed() -> None:
    assert did_you_mean("xyz", ["b", "a"]) == "known names: a, b."
    many = [f"name{number:02}" for number in range(20)]
    assert did_you_mean("xyz", many).endswith("name11 and 8 more.")


def test_an_empty_list_is_said_to_be_empty() -> None:
    assert did_you_mean("xyz", []) == "there are none."
