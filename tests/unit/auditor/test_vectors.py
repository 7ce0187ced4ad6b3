"""The published vectors: two verifiers written apart give the verdict written beside them."""

import datetime as dt
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.auditor.chain.trust import load_trust
from services.auditor.evidence.verify import verify_folder

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "docs" / "vectors"
CASES = json.loads((VECTORS / "verdicts.json").read_text())
AS_OF = dt.datetime.fromisoformat(CASES["as_of"])


def damaged(folder: Path, case: dict[str, Any]) -> Path:
    """The vectors' stack with one text replaced in one file, or the file gone."""
    shutil.copytree(VECTORS / "stack", folder)
    if case["file"]:
        file = folder / case["file"]
        data = file.read_bytes()
        assert case["replace"].encode() in data
        changed = data.replace(case["replace"].encode(), case["with"].encode(), 1)
        file.write_bytes(changed)
    return folder


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_the_verdict_is_the_one_written_down(tmp_path: Path, case: dict[str, Any]) -> None:
    folder = damaged(tmp_path / "stack", case)
    keys = VECTORS / "public_keys.json"
    verdict = verify_folder(
        folder / "audit", trust=load_trust(keys), witnesses=[folder / "witness"], as_of=AS_OF
    )
    spec = importlib.util.spec_from_file_location("verify_chain", ROOT / "docs/verify_chain.py")
    assert spec is not None
    assert spec.loader is not None
    outside = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(outside)
    theirs = outside.Examination(
        folder / "audit",
        outside.read_public_keys(keys),
        [folder / "witness"],
        [],
        AS_OF.timestamp(),
    ).verdict()
    assert (verdict.exit_code, theirs[0]) == (case["exit_code"], case["exit_code"])
