"""docs/FAULTS.md is written from a report of what ran, a line for every row."""

from __future__ import annotations

from pathlib import Path

from tests.faults.rows import ROWS
from tests.faults.table import page, read_report

REPORT = """<testsuites><testsuite>
<testcase classname="tests.faults.test_outside_changes" name="x[a blocked account]" time="0.5"/>
<testcase classname="tests.unit.executor.test_executor_guards" name="y" time="1.0">
<failure/></testcase>
<testcase classname="tests.integration.runtime.test_acl" name="z" time="9"><skipped/></testcase>
</testsuite></testsuites>"""


def test_every_row_has_tests_that_prove_it() -> None:
    assert [row.number for row in ROWS] == [*range(1, 50), *range(57, 61)]
    assert all(row.tests and all(row.tests) for row in ROWS)


def test_a_line_counts_what_ran_and_what_passed_and_skips_what_did_not_run(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    lines = page(list(read_report(report))).splitlines()
    twenty = next(line for line in lines if line.startswith("| 20 |"))
    assert twenty.endswith("| 2 | 1 | 1.5 |")
    acl = next(line for line in lines if line.startswith("| 28 |"))
    assert acl.endswith("| 0 | 0 | 0.0 |")
