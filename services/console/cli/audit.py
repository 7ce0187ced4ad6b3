"""`kobe audit`: check the chain and prove things by it. Works on files alone; no stack need run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from services.auditor.chain.checkpoints import load_public_key, load_public_keys
from services.auditor.evidence import inclusion_proof as proof
from services.auditor.evidence.explain import Explanation, explain as explain_decision
from services.auditor.evidence.verify import Verdict, verify_folder, verify_legacy
from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.address import find_stack
from shared.domain.errors import UserError
from shared.schemas.envelope import canonical

app = typer.Typer(help="The audit chain.", no_args_is_help=True)
Folder = Annotated[
    Path | None, typer.Option("--folder", help="The chain's folder; default: the running stack's.")
]
Keys = Annotated[
    Path | None, typer.Option("--keys", help="public_keys.json to pin the auditor's key by.")
]
Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchor",
        help="Checkpoints kept elsewhere (`kobe audit anchor`, the witness's); repeatable.",
    ),
]


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
    as_json: AsJson = False,
) -> int:
    """Check every link, number and signed checkpoint.

    Exit 0 ok, 3 broken link, 4 truncated, 5 rewritten, 6 bad signature, 7 not canonical, 8 writer
    gap, 9 torn tail.
    """
    verdict = (
        verify_legacy(legacy) if legacy else _verify_folder(_folder(folder), keys, anchor or [])
    )
    return _report(verdict, as_json)


@app.command()
def prove(
    index: Annotated[int, typer.Argument(help="The record's place in the chain, from 0.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the proof here; default: print it.")
    ] = None,
    folder: Folder = None,
) -> int:
    """Write a proof that one record is in the chain, for `kobe audit check`."""
    text = canonical(proof.prove(_folder(folder), index)).decode()
    if out is None:
        typer.echo(text)
        return 0
    try:
        out.write_text(f"{text}\n")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from error
    return 0


@app.command()
def check(
    bundle: Annotated[Path, typer.Argument(help="What `kobe audit prove` wrote.")],
    keys: Keys = None,
    as_json: AsJson = False,
) -> int:
    """Check a proof, offline. Exit codes as `verify`."""
    try:
        data = bundle.read_bytes()
    except OSError as error:
        raise UserError(f"{bundle} cannot be read: {error.strerror}.") from error
    return _report(
        proof.check(data, public_key=load_public_key(keys, "auditor") if keys else None), as_json
    )


@app.command()
def explain(
    decision_id: Annotated[str, typer.Argument(help="DEC_…, as the gate gave it.")],
    folder: Folder = None,
    as_json: AsJson = False,
) -> int:
    """Everything the chain holds about one decision, in order."""
    explanation = explain_decision(_folder(folder), decision_id)
    if as_json:
        print_json(explanation)
    else:
        _narrate(explanation)
    return 0


@app.command()
def anchor(
    file: Annotated[Path, typer.Argument(help="A file that the stack cannot rewrite; added to.")],
    folder: Folder = None,
) -> int:
    """Copy the newest checkpoint to a file that the stack cannot rewrite."""
    note = proof.anchor(_folder(folder), file)
    terminal.print(f"✓ {note.size} records of chain {note.chain_id} are anchored in {file}.")
    return 0


def _folder(folder: Path | None) -> Path:
    return folder or Path(find_stack(os.environ).audit_dir)


def _verify_folder(folder: Path, keys: Path | None, anchors: list[Path]) -> Verdict:
    if keys is None:
        return verify_folder(folder, anchors=anchors)
    witness = load_public_keys(keys).get("witness")
    return verify_folder(
        folder, public_key=load_public_key(keys, "auditor"), anchors=anchors, witness_key=witness
    )


def _report(verdict: Verdict, as_json: bool) -> int:
    if as_json:
        print_json(verdict)
        return verdict.exit_code
    mark = "✓" if verdict.valid else "✗"
    terminal.print(
        f"{mark} {verdict.height} records, {verdict.checkpoints} checkpoints: {verdict.sentence}."
    )
    if verdict.head:
        terminal.print(f"  head {verdict.head}")
    return verdict.exit_code


def _narrate(explanation: Explanation) -> None:
    verdict = "approved" if explanation.approved else "denied"
    typer.echo(
        f"{explanation.decision_id}: {explanation.symbol}, {verdict}, scan {explanation.scan_id}"
    )
    for step in explanation.steps:
        typer.echo(f"\n{step.index:>7}  {step.at}  {step.writer}  {step.type}")
        typer.echo(f"         config {step.config_pin[:12]}  code {step.code_digest[:12]}")
        for name, fact in step.facts.items():
            typer.echo(
                f"         {name}: {fact if isinstance(fact, str) else canonical(fact).decode()}"
            )
