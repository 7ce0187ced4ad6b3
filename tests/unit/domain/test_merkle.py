import hashlib

import pytest
from hypothesis import given, strategies as st

from services.auditor.chain.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    inclusion_ranges,
    is_consistent,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    root_of,
    roots_of,
)

# RFC 6962's reference leaves and the roots that Certificate Transparency implementations agree on.
REFERENCE = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
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
    assert root_of(reference(size)).hex() == ROOTS[size]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Frontier.empty().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


A, B, C = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
D, E = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
)
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
# (leaf from 0, size) and (older size, size) -> the proofs that the reference implementation gives.
INCLUSION = {
    (0, 1): [],
    (0, 8): [A, B, C],
    (5, 8): [D, E, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], B, D],
}
CONSISTENCY = {(1, 1): [], (1, 8): [A, B, C], (6, 8): [F, E, ROOTS[4]], (2, 5): [B, D]}


def reference(size: int) -> list[bytes]:
    return [leaf_hash(bytes.fromhex(text)) for text in REFERENCE[:size]]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference(index: int, size: int) -> None:
    proof = inclusion_proof(reference(size), index)
    assert [node.hex() for node in proof] == INCLUSION[index, size]


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(old: int, size: int) -> None:
    proof = consistency_proof(reference(size), old)
    assert [node.hex() for node in proof] == CONSISTENCY[old, size]
    assert is_consistent(old, bytes.fromhex(ROOTS[old]), size, bytes.fromhex(ROOTS[size]), proof)


def test_a_leaf_cannot_pass_for_a_node() -> None:
    left, right = reference(2)
    assert node_hash(left, right) != leaf_hash(left + right)


@given(st.integers(1, 70), st.data())
def test_a_list_that_only_grew_is_shown_to_have_grown(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    old = data.draw(st.integers(1, size))
    proof, old_root, root = consistency_proof(leaves, old), root_of(leaves[:old]), root_of(leaves)
    assert is_consistent(old, old_root, size, root, proof)
    changed = data.draw(st.integers(0, old - 1))
    other = [*leaves[:changed], leaf_hash(b"other"), *leaves[changed + 1 :]]
    assert not is_consistent(old, root_of(other[:old]), size, root, proof)
    assert not is_consistent(old, old_root, size, root_of(other), consistency_proof(other, old))
    for place in range(len(proof)):
        damaged = [*proof[:place], leaf_hash(proof[place]), *proof[place + 1 :]]
        assert not is_consistent(old, old_root, size, root, damaged)
        assert not is_consistent(old, old_root, size, root, proof[:place])


@given(st.integers(1, 70), st.data())
def test_a_damaged_path_leads_elsewhere(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    for place in range(len(proof)):
        damaged = [*proof[:place], leaf_hash(proof[place]), *proof[place + 1 :]]
        assert root_from_inclusion(leaves[index], index, size, damaged) != root
        assert root_from_inclusion(leaves[index], index, size, proof[:place]) != root
    assert root_from_inclusion(leaves[index], index, size, [*proof, root]) is None
    assert root_from_inclusion(leaves[index], size, size, proof) is None


def test_what_is_not_in_the_list_has_no_proof() -> None:
    with pytest.raises(IndexError):
        inclusion_proof(reference(3), 3)
    with pytest.raises(IndexError):
        consistency_proof(reference(3), 0)
    with pytest.raises(IndexError):
        consistency_proof(reference(3), 4)
    with pytest.raises(IndexError, match="end before"):
        roots_of(inclusion_ranges(0, 8), reference(5))


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
