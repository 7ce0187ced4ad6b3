"""`kobe audit evidence`, `reconcile`, `cosign`: what is shown to others, and asked of them."""

import datetime as dt
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.auditor.chain.signed_note import read_vkey
from services.auditor.evidence import anchor as anchoring
from services.auditor.evidence.foreign_witness import ask_witness
from services.auditor.evidence.pack import build_pack
from services.auditor.evidence.reconcile import Reconciliation, reconcile as compare
from services.console.cli.audit_options import ChainPlace, Folder, Keys, Witnesses
from services.console.cli.output import AsJson, print_json, print_rows, terminal
from services.console.stack.address import find_stack
from services.console.stack.sim_broker_client import SimBrokerClient
from shared.domain.errors import TransientError, UserError
from shared.schemas.json_types import JsonMapping, JsonObject

Session = Annotated[str, typer.Argument(help="The session's date, YYYY-MM-DD.")]
Broker = Annotated[
    Path | None,
    typer.Option("--broker", help="The broker's orders as JSON; default: the sim stack's broker."),
]
Journal = Annotated[
    Path | None, typer.Option("--journal", help="The executor's journal (SQLite), or a copy.")
]


def reconcile(
    session: Session,
    broker: Broker = None,
    journal: Journal = None,
    folder: Folder = None,
    keys: Keys = None,
    as_json: AsJson = False,
) -> int:
    """Compare a session's orders in the chain with the broker's list and the executor's journal.

    Exit code 0 only if they agree; the chain is verified first.
    """
    place = ChainPlace.find(folder, keys)
    place.require_proof()
    found = compare(place.folder, _date(session), broker=_broker_orders(broker), journal=journal)
    if as_json:
        print_json(found)
        return int(bool(found.differences))
    print_rows(
        f"{found.chain_orders} orders against {', '.join(found.sources)}",
        ("order", "symbol", "difference"),
        [(each.client_order_id, each.symbol, each.sentence) for each in found.differences],
        empty=f"✓ {found.chain_orders} orders of {session} agree with {', '.join(found.sources)}.",
    )
    return int(bool(found.differences))


def evidence(
    session: Session,
    out: Annotated[
        Path | None, typer.Option(help="The zip file; default: evidence-DATE.zip.")
    ] = None,
    broker: Broker = None,
    journal: Journal = None,
    folder: Folder = None,
    keys: Keys = None,
    witness: Witnesses = None,
) -> int:
    """Pack a session's records with their proof, orders, denials, comparison and configuration.

    The chain is verified first; `kobe audit check FILE` judges the pack offline.
    """
    place = ChainPlace.find(folder, keys, witness)
    place.require_proof()
    day = _date(session)
    file = out or Path(f"evidence-{day}.zip")
    orders: Sequence[JsonMapping] | None = None
    with suppress(TransientError):
        # Without a broker to ask the pack says that nothing was compared.
        orders = _broker_orders(broker)
    reconciled: Reconciliation = compare(place.folder, day, broker=orders, journal=journal)
    proof = build_pack(place.folder, day, file, config=_config(), reconciled=reconciled)
    count = proof.stop - proof.first
    terminal.print(
        f"✓ {count} records of {day} are in {file}; `kobe audit check {file}` judges it."
    )
    return 0


def cosign(
    url: Annotated[str, typer.Argument(help="The witness's submission prefix, https://…")],
    file: Annotated[
        Path, typer.Argument(help="A file of anchors; the signed checkpoint is added.")
    ],
    vkey: Annotated[str, typer.Option("--vkey", help="The witness's verifier key, name+id+key.")],
    folder: Folder = None,
    keys: Keys = None,
) -> int:
    """Have a witness elsewhere countersign the newest checkpoint (C2SP tlog-witness).

    It must know the chain's origin and key (`kobe audit keys`). The chain is verified first.
    """
    place = ChainPlace.find(folder, keys)
    place.require_proof()
    try:
        key = read_vkey(vkey)
    except ValueError as error:
        raise UserError(f"--vkey: {error}.", exit_code=64) from error
    note = anchoring.newest_checkpoint(place.folder)
    cosigned = ask_witness(place.folder, note, url, key)
    anchoring.anchor(cosigned, file)
    terminal.print(f"✓ {note.size} records are countersigned by {key.name}; kept in {file}.")
    return 0


def _date(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"{text!r} is no date; write it as 2026-01-05.", exit_code=64) from None


def _broker_orders(file: Path | None) -> Sequence[JsonMapping]:
    """Raises UserError if the file is none, TransientError if no simulated broker answers."""
    if file is None:
        return list(SimBrokerClient(find_stack(os.environ).broker_url).orders())
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[JsonObject])
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{file} is not a list of the broker's orders: {error}.") from error


def _config() -> dict[str, bytes]:
    file = os.environ.get("KOBE_CONFIG", "")
    return {Path(file).name: Path(file).read_bytes()} if file and Path(file).is_file() else {}
