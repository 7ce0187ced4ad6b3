"""Every link and every file that the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FUTURE = ROOT / "docs" / "extending.md"  # names the files that its reader will write
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`((?:shared|services|tests|compose|docs)/[\w./-]+)`")


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != FUTURE], ids=page_id)
def test_every_file_named_is_there(page: Path) -> None:
    named = CODE.findall(page.read_text())
    assert [name for name in named if not (ROOT / name.rstrip("/")).exists()] == []
