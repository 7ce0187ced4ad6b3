"""`kobe audit`: check the chain and prove things by it. Works on files alone; no stack need run."""

from pathlib import Path
from typing import Annotated
from zipfile import is_zipfile

import msgspec
import typer

from services.auditor.chain.checkpoints import read_checkpoint
from services.auditor.chain.trust import Trust, auditor_keys
from services.auditor.evidence import anchor as anchoring, consistency_proof, inclusion_proof
from services.auditor.evidence.explain import Explanation, explain as explain_decision
from services.auditor.evidence.findings import Verdict
from services.auditor.evidence.legacy import verify_legacy
from services.auditor.evidence.pack import check_pack
from services.console.cli import audit_evidence
from services.console.cli.audit_options import (
    Anchors,
    AsOf,
    ChainPlace,
    Folder,
    Keys,
    Witnesses,
    read_instant,
)
from services.console.cli.output import AsJson, print_json, terminal
from shared.domain.errors import UserError
from shared.schemas.envelope import canonical

Out = Annotated[Path | None, typer.Option(help="Write it here; default: print it.")]

app = typer.Typer(help="The audit chain.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The audit chain."""


@app.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(help="The chain's folder; default: the running stack's.")
    ] = None,
    legacy: Annotated[
        Path | None, typer.Option(help="Check a file of this system's predecessor instead.")
    ] = None,
    keys: Keys = None,
    anchor: Anchors = None,
    witness: Witnesses = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> int:
    """Check every link, number, checkpoint and order signature, up to now.

    Exit 0 ok, 3 broken link, 4 truncated, 5 rewritten, 6 bad signature, 7 not canonical, 8 writer
    gap, 9 torn tail, 10 key NOT pinned, 11 stale, 12 a checkpoint is missing, 13 not countersigned.
    """
    if legacy:
        return _report(verify_legacy(legacy), as_json)
    place = ChainPlace.find(folder, keys, witness)
    verdict = place.verify(anchors=tuple(anchor or ()), as_of=read_instant(as_of))
    return _report(verdict, as_json)


@app.command()
def prove(
    index: Annotated[int, typer.Argument(help="The record's place in the chain, from 0.")],
    out: Out = None,
    folder: Folder = None,
    keys: Keys = None,
    tlog: Annotated[
        bool, typer.Option("--tlog", help="As a C2SP tlog-proof, which other tools read.")
    ] = False,
) -> int:
    """Write a proof that one record is in the chain, for `kobe audit check`.

    The chain is verified first; exit codes as `verify`.
    """
    place = ChainPlace.find(folder, keys)
    place.require_proof()
    bundle = inclusion_proof.prove(place.folder, index)
    return _write(bundle.tlog_proof() if tlog else f"{canonical(bundle).decode()}\n", out)


@app.command()
def check(
    bundle: Annotated[
        Path, typer.Argument(help="What `kobe audit prove`, `consistency` or `evidence` wrote.")
    ],
    keys: Keys = None,
    as_json: AsJson = False,
) -> int:
    """Check a proof, offline, by pinned keys. Exit codes as `verify`."""
    try:
        data = bundle.read_bytes()
    except OSError as error:
        raise UserError(f"{bundle} cannot be read: {error.strerror}.") from error
    trust = ChainPlace.find(None, keys).trust
    if is_zipfile(bundle):
        return _report(check_pack(bundle, trust), as_json)
    return _report(_check_any(data, trust), as_json)


def _check_any(data: bytes, trust: Trust) -> Verdict:
    try:
        growth = msgspec.json.decode(data, type=consistency_proof.ConsistencyBundle)
    except msgspec.MsgspecError:
        return inclusion_proof.check(data, trust)
    return consistency_proof.check_consistency(growth, trust)


@app.command()
def consistency(
    old: Annotated[int, typer.Argument(help="The size of the older checkpoint, in records.")],
    new: Annotated[
        int | None, typer.Argument(help="The size of the newer one; default: the newest.")
    ] = None,
    out: Out = None,
    folder: Folder = None,
    keys: Keys = None,
    tlog: Annotated[
        bool, typer.Option("--tlog", help="As a C2SP tlog-witness request, which witnesses take.")
    ] = False,
) -> int:
    """Write a proof that the chain only grew between two checkpoints, for `kobe audit check`."""
    place = ChainPlace.find(folder, keys)
    place.require_proof()
    bundle = consistency_proof.prove_consistency(place.folder, old, new)
    nodes = [bytes.fromhex(node) for node in bundle.consistency]
    request = consistency_proof.witness_request(read_checkpoint(bundle.new_note), old, nodes)
    return _write(request if tlog else f"{canonical(bundle).decode()}\n", out)


@app.command()
def explain(
    decision_id: Annotated[str, typer.Argument(help="DEC_…, as the gate gave it.")],
    folder: Folder = None,
    keys: Keys = None,
    as_json: AsJson = False,
) -> int:
    """Tell everything the chain holds about one decision, in order, after verifying it.

    The first time the whole chain is verified and indexed; afterwards only what is new.
    """
    with ChainPlace.find(folder, keys).index() as chain:
        chain.update()
        explanation = explain_decision(chain, decision_id)
    if as_json:
        print_json(explanation)
    else:
        _narrate(explanation)
    return 0


@app.command()
def index(folder: Folder = None, keys: Keys = None) -> int:
    """Verify the whole chain and build the index that `explain` finds records by anew."""
    with ChainPlace.find(folder, keys).index() as chain:
        chain.update(anew=True)
        terminal.print(f"✓ the index is in {chain.index.file}.")
    return 0


@app.command()
def anchor(
    file: Annotated[Path, typer.Argument(help="A file that the stack cannot rewrite; added to.")],
    folder: Folder = None,
    keys: Keys = None,
    witness: Witnesses = None,
) -> int:
    """Copy the newest checkpoint to a file that the stack cannot rewrite, after verifying it."""
    place = ChainPlace.find(folder, keys, witness)
    place.require_proof()
    note = anchoring.newest_checkpoint(place.folder, place.witnesses)
    anchoring.anchor(note, file)
    terminal.print(f"✓ {note.size} records of chain {note.chain_id} are anchored in {file}.")
    return 0


@app.command()
def keys(
    folder: Folder = None,
    keys: Keys = None,
) -> int:
    """Print the verifier keys (C2SP vkeys) that other tools check this chain's notes by."""
    place = ChainPlace.find(folder, keys)
    if place.trust.auditor is None:
        raise UserError("No keys are pinned; name them with --keys.", exit_code=2)
    newest = anchoring.newest_checkpoint(place.folder)
    own = auditor_keys(place.trust.auditor, newest.chain_id)
    for key in (*own, *place.trust.witnesses):
        typer.echo(key.vkey())
    return 0


app.command()(audit_evidence.reconcile)
app.command()(audit_evidence.evidence)
app.command()(audit_evidence.cosign)


def _write(text: str, out: Path | None) -> int:
    if out is None:
        typer.echo(text, nl=False)
        return 0
    try:
        out.write_text(text)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    return 0


def _report(verdict: Verdict, as_json: bool) -> int:
    if as_json:
        print_json(verdict)
        return verdict.exit_code
    mark = "✓" if verdict.valid else "✗"
    lines = [
        f"{mark} {verdict.height} records, {verdict.checkpoints} checkpoints: {verdict.sentence}."
    ]
    if verdict.head:
        lines.append(f"  head {verdict.head}")
    if verdict.sealed_at:
        lines.append(f"  signed last at {verdict.sealed_at.isoformat()}")
    if verdict.cosigned:
        lines.append(f"  {verdict.cosigned} records vouched for by a witness")
    for line in lines:
        terminal.print(line)
    return verdict.exit_code


def _narrate(explanation: Explanation) -> None:
    verdict = "approved" if explanation.approved else "denied"
    typer.echo(
        f"{explanation.decision_id}: {explanation.symbol}, {verdict}, scan {explanation.scan_id}"
    )
    for step in explanation.steps:
        seal = "" if step.is_sealed else "  (under no checkpoint yet)"
        typer.echo(f"\n{step.index:>7}  {step.at}  {step.writer}  {step.type}{seal}")
        typer.echo(f"         config {step.config_pin[:12]}  code {step.code_digest[:12]}")
        for name, fact in step.facts.items():
            typer.echo(
                f"         {name}: {fact if isinstance(fact, str) else canonical(fact).decode()}"
            )
