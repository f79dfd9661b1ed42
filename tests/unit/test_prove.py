"""The figures of a long test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import figures, prove
from dev.errors import CheckError

REPORT = """<testsuites><testsuite tests="4">
<testcase name="test_a[round1]"><properties><property name="outcome" value="won"/></properties></testcase>
<testcase name="test_a[round2]"><properties><property name="outcome" value="lost"/></properties></testcase>
<testcase name="test_a[round3]"><properties><property name="outcome" value="won"/></properties></testcase>
<testcase name="test_b"><properties><property name="parts" value="2000"/><property name="seconds" value="1.5"/>
</properties></testcase>
<testcase name="test_c"><skipped/></testcase>
</testsuite></testsuites>"""


def test_read_report_counts_tests_and_collects_properties(tmp_path: Path) -> None:
    """One value becomes a number; the values of several cases are counted."""
    path = tmp_path / "report.xml"
    path.write_text(REPORT, encoding="utf-8")
    assert prove.read_report(path) == {
        "tests": 5,
        "skipped": 1,
        "properties": {
            "test_a": {"outcome": {"won": 2, "lost": 1}},
            "test_b": {"parts": 2000, "seconds": 1.5},
        },
    }


@pytest.mark.parametrize("content", [None, "<testsuites><testsuite tests='0'/></testsuites>"])
def test_read_report_without_tests_fails(tmp_path: Path, content: str | None) -> None:
    """A command that ran no test proves nothing."""
    path = tmp_path / "report.xml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(CheckError):
        prove.read_report(path)


def test_write_figures_names_command_commit_machine_and_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The written figures can be read again, with where they come from."""
    monkeypatch.setattr(figures, "FIGURES_FOLDER", tmp_path / "figures")
    path = figures.write_figures("name", "make prove-name", {"seconds": 1.5})
    content = path.read_text(encoding="utf-8")
    for member in ("command", "commit", "machine", "date"):
        assert f'"{member}"' in content
    assert figures.read_figures("name") == {"seconds": 1.5}
