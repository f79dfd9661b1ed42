"""What is known to differ behind SAM CLI is written where people look, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.differences import DIFFERENCES, Difference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.tests[0])
def test_a_difference_is_documented_and_tested(difference: Difference) -> None:
    """Its two halves are a row of docs/local.md, and each pattern names a test function, or all of a file."""
    document = (ROOT / "docs/local.md").read_text(encoding="utf-8")
    if not difference.elsewhere:
        assert f"| {difference.on_aws} | {difference.sam_local} |\n" in document
    for pattern in difference.tests:
        file, _, function = pattern.partition("::")
        source = (ROOT / "tests/e2e" / file).read_text(encoding="utf-8")
        assert function == "*" or f"def {function.rstrip('*').partition('?')[0]}(" in source


def test_documented_differences_are_held(document_rows: list[str]) -> None:
    """No row of the table is there without a test that would notice when it is no longer true."""
    assert len(document_rows) == sum(not difference.elsewhere for difference in DIFFERENCES)


@pytest.fixture
def document_rows() -> list[str]:
    text = (ROOT / "docs/local.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| On AWS | `sam local` |\n|---|---|\n")
    return table.partition("\n\n")[0].splitlines()


def test_a_pattern_matches_what_pytest_calls_a_test() -> None:
    """From whichever folder pytest was started."""
    (difference, *_) = DIFFERENCES
    assert difference.matches("tests/e2e/test_bad_input.py::test_an_unknown_route_is_the_gateways_404[GET-/]")
    assert not difference.matches("tests/e2e/test_names.py::test_an_odd_name_goes_round[%]")
