import base64
import json

import pytest

from shared.runtime.observability.masking import Mask

SECRET = 'pa"ss\\wörd/1+2='


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"redis://user:{SECRET}@host",
        json.dumps({"a": {"b": [SECRET]}}),
        json.dumps({"a": SECRET}, ensure_ascii=False),
        json.dumps({"error": repr(ValueError(SECRET))}),
        repr({"key": SECRET}),
        "pa%22ss%5Cw%C3%B6rd%2F1%2B2%3D",
        base64.b64encode(SECRET.encode()).decode(),
        repr(SECRET.encode()),
        json.dumps({"raw": repr(SECRET.encode())}),
    ],
)
def test_a_secret_is_blotted_out_in_every_spelling(text: str) -> None:
    assert Mask([SECRET])(text).count("***") == 1


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Mask(["abcd", "abcd1234"])("abcd1234 abcd") == "*** ***"


def test_a_secret_of_a_few_letters_leaves_the_words_alone() -> None:
    assert Mask(["a", ""])("a banana") == "a banana"
