"""Writes docs/FAULTS.md: each row with the tests that prove it, their runs, and what passed.

`python -m tests.faults.table REPORT.xml` reads a JUnit report of a run of the whole test suite
(`pytest --junit-xml=REPORT.xml`), so that the page says what was run and nothing else.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.rows import ROWS, Row

PAGE = Path(__file__).parents[2] / "docs/FAULTS.md"
HEAD = """# Faults and attacks survived

One row for each fault; the tests that prove it are found by name. Written from a run's report by
`python -m tests.faults.table REPORT.xml`; the simulation's stories (`python -m tests.simulate`)
come on top of these rows and mix them. Counts are those of one run of `make test`: a row names the
tests that try its fault, which is not yet a proof at full counts (`make faults`), and rows 2, 7, 8,
22 and 26 are tried on parts of the stack, not on all of it at once.

| row | fault | tests | runs | passed | seconds |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Result:
    name: str
    passed: bool
    seconds: float


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m tests.faults.table REPORT.xml", file=sys.stderr)
        return 64
    results = list(read_report(Path(arguments[0])))
    PAGE.write_text(page(results))
    missing = [row.number for row in ROWS if not _of(row, results)]
    if missing:
        print(f"rows without a run: {', '.join(map(str, missing))}", file=sys.stderr)
    return 0


def read_report(path: Path) -> Iterator[Result]:
    """Each test that ran; skipped ones did not."""
    for case in ET.parse(path).getroot().iter("testcase"):
        children = {child.tag for child in case}
        if "skipped" in children:
            continue
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        failed = bool(children & {"failure", "error"})
        yield Result(name, not failed, float(case.get("time", "0")))


def page(results: list[Result]) -> str:
    lines = [_line(row, _of(row, results)) for row in ROWS]
    return HEAD + "\n".join(lines) + "\n"


def _of(row: Row, results: list[Result]) -> list[Result]:
    return [each for each in results if any(part in each.name for part in row.tests)]


def _line(row: Row, results: list[Result]) -> str:
    passed = sum(each.passed for each in results)
    seconds = sum(each.seconds for each in results)
    where = ", ".join(f"`{part}`" for part in row.tests)
    figures: Mapping[str, object] = {"runs": len(results), "passed": passed}
    cells = [row.number, row.fault, where, figures["runs"], figures["passed"], f"{seconds:.1f}"]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
