"""Run a long test command and write its result to docs/figures: `python -m dev.prove NAME COMMAND...`.

The command runs pytest, possibly through other programs. pytest's JUnit report gives the number of tests and the
properties that tests record with `record_property`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from dev.errors import CheckError
from dev.figures import write_figures
from dev.paths import ROOT

WORK_FOLDER = ROOT / "build" / "prove"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the command's exit code; 1 if it wrote no report."""
    parser = argparse.ArgumentParser(prog="python -m dev.prove", description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="the NAME of `make prove-NAME` and docs/figures/NAME.json")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="runs pytest")
    options = parser.parse_args(arguments)
    report = WORK_FOLDER / f"{options.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    # The family `legacy` records the properties of single tests.
    pytest_options = f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={report} -o junit_family=legacy".strip()
    started_at = time.monotonic()
    completed = subprocess.run(
        options.command, cwd=ROOT, env={**os.environ, "PYTEST_ADDOPTS": pytest_options}, check=False
    )
    seconds = round(time.monotonic() - started_at, 1)
    if completed.returncode:
        return completed.returncode
    try:
        figures = {"seconds": seconds, **read_report(report)}
    except CheckError as error:
        print(f"prove-{options.name}: {error}", file=sys.stderr)
        return 1
    path = write_figures(options.name, f"make prove-{options.name}", figures)
    print(f"wrote {path.relative_to(ROOT)}")
    return 0


def read_report(path: Path) -> dict[str, Any]:
    """Return the counts of a JUnit report and the properties of its tests.

    A property that several cases of one test record has the number of cases by value.

    Raises:
        CheckError: there is no report, or no test ran.
    """
    if not path.is_file():
        raise CheckError("the command wrote no JUnit report; does it run pytest?")
    # The report is this command's own output.
    cases = ET.parse(path).getroot().findall(".//testcase")
    if not cases:
        raise CheckError("no test ran")
    values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        test = case.get("name", "").partition("[")[0]
        for entry in case.iterfind("properties/property"):
            values[test][entry.get("name", "")].append(entry.get("value", ""))
    figures: dict[str, Any] = {
        "tests": len(cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    if values:
        figures["properties"] = {
            test: {name: _summarize(found) for name, found in sorted(properties.items())}
            for test, properties in sorted(values.items())
        }
    return figures


def _summarize(values: Sequence[str]) -> Any:
    if len(values) == 1:
        return _to_number(values[0])
    return dict(Counter(values).most_common())


def _to_number(text: str) -> int | float | str:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


if __name__ == "__main__":
    sys.exit(main())
