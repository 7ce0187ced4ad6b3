"""A universe as files: the list itself, and beside it every candidate with its proof.

`optionable_liquid_900.csv` has the symbols by rank; `optionable_liquid_900.full.csv` all figures.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from services.data_fetcher.universe.ranking import UniverseProof, UniverseRules
from shared.domain.errors import UserError
from shared.runtime.atomic_file import write_file
from shared.runtime.config.universe_list import read_universe

COLUMNS = UniverseProof.__struct_fields__


def proof_file(universe: Path) -> Path:
    return universe.with_suffix(f".full{universe.suffix}")


def write_universe(universe: Path, proofs: Sequence[UniverseProof], head: str) -> None:
    """Both files, the proofs first; `head` is a remark on top of each."""
    chosen = [[each.symbol] for each in proofs if each.rank]
    rows = [
        ["" if value is None else value for value in msgspec.structs.astuple(each)]
        for each in proofs
    ]
    write_file(proof_file(universe), _csv(head, COLUMNS, rows))
    write_file(universe, _csv(head, ("symbol",), chosen))


def read_proofs(universe: Path) -> list[UniverseProof]:
    """Raises UserError if there are none, or they are no proofs."""
    file = proof_file(universe)
    try:
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        rows = list(csv.DictReader(lines))
        return [msgspec.convert(_with_numbers(row), UniverseProof, strict=False) for row in rows]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as proofs: {error}.") from error


@dataclass(frozen=True, slots=True)
class UniverseDifference:
    """Of a later list from an earlier one."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    kept: int


def difference(earlier: Path | str, later: Path | str) -> UniverseDifference:
    before, after = read_universe(earlier), read_universe(later)
    return UniverseDifference(
        added=tuple(symbol for symbol in after if symbol not in set(before)),
        removed=tuple(symbol for symbol in before if symbol not in set(after)),
        kept=len(set(before) & set(after)),
    )


def find_faults(universe: Path, rules: UniverseRules) -> list[str]:
    """What is wrong with a list and its proofs, one sentence each."""
    symbols = read_universe(universe)
    proofs = {proof.symbol: proof for proof in read_proofs(universe)}
    faults = [f"{symbol} has no proof." for symbol in symbols if symbol not in proofs]
    faults += [
        f"{symbol}: {reason}."
        for symbol in symbols
        if symbol in proofs
        for reason in _faults_of(proofs[symbol], rules)
    ]
    chosen = [proof.symbol for proof in sorted(proofs.values(), key=_rank) if proof.rank]
    if tuple(chosen) != symbols:
        faults.append("The list and its proofs name other symbols, or in another order.")
    if len(symbols) > rules.cap:
        faults.append(f"It has {len(symbols)} symbols, more than {rules.cap}.")
    return faults


def _faults_of(proof: UniverseProof, rules: UniverseRules) -> Iterable[str]:
    if not proof.options:
        yield "nothing proves its options"
    if proof.close is None or proof.close <= rules.minimum_price:
        yield f"its close {proof.close} is not above {rules.minimum_price}"
    if proof.dollar_volume is None or proof.dollar_volume < rules.minimum_dollar_volume:
        yield f"its dollar volume {proof.dollar_volume} is below {rules.minimum_dollar_volume}"
    if proof.sessions < rules.minimum_sessions:
        yield f"it has bars on {proof.sessions} sessions, fewer than {rules.minimum_sessions}"


def _rank(proof: UniverseProof) -> int:
    return proof.rank


def _with_numbers(row: dict[str, str]) -> dict[str, object]:
    typed: dict[str, object] = {**row}
    for name in ("close", "dollar_volume"):
        try:
            typed[name] = Decimal(row[name]) if row.get(name) else None
        except InvalidOperation:
            typed[name] = row[name]
    return typed


def _csv(head: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    text.write(f"# {head}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
