import hashlib

import pytest
from hypothesis import given, strategies as st

from shared.domain.merkle import EMPTY_ROOT, Frontier, inclusion_proof, leaf_hash, root_from_inclusion, root_of

# RFC 6962's reference leaves and the roots that Certificate Transparency implementations agree on.
REFERENCE = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_the_reference(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(text)) for text in REFERENCE[:size]]
    assert root_of(leaves).hex() == ROOTS[size]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Frontier.empty().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


@given(st.integers(1, 70), st.data())
def test_every_leaf_is_proved_and_no_other_is(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, index)
    assert root_from_inclusion(leaves[index], index, size, proof) == root_of(leaves)
    assert root_from_inclusion(leaf_hash(b"other"), index, size, proof) != root_of(leaves)


def test_memory_grows_with_the_logarithm() -> None:
    frontier = Frontier.empty()
    for number in range(10_000):
        frontier.append(leaf_hash(str(number).encode()))
    assert len(frontier.peaks) <= 14
