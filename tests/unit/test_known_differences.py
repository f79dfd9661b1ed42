"""The known differences behind SAM CLI are documented, and name existing tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.known_differences import KNOWN_DIFFERENCES, KnownDifference

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("difference", KNOWN_DIFFERENCES, ids=lambda difference: difference.tests[0])
def test_known_difference_is_documented_and_tested(difference: KnownDifference) -> None:
    """A difference is a row of docs/local-development.md; its patterns name a test function, or all of a file."""
    document = (ROOT / "docs/local-development.md").read_text(encoding="utf-8")
    assert f"| {difference.on_aws} | {difference.sam_local} |\n" in document
    for pattern in difference.tests:
        file, _, function = pattern.partition("::")
        source = (ROOT / "tests/e2e" / file).read_text(encoding="utf-8")
        assert function == "*" or f"def {function.rstrip('*').partition('?')[0]}(" in source


def test_documented_differences_have_tests(document_rows: list[str]) -> None:
    """Each row of the table has tests that notice when it is no longer true."""
    assert len(document_rows) == len(KNOWN_DIFFERENCES)


@pytest.fixture
def document_rows() -> list[str]:
    text = (ROOT / "docs/local-development.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| On AWS | `sam local` |\n|---|---|\n")
    return table.partition("\n\n")[0].splitlines()


def test_difference_pattern_matches_node_id() -> None:
    """A pattern matches whatever the folder in which pytest was started."""
    (difference, *_) = KNOWN_DIFFERENCES
    assert difference.matches("tests/e2e/test_bad_input.py::test_unknown_route_returns_gateway_404[GET-/]")
    assert not difference.matches("tests/e2e/test_filenames.py::test_unusual_name_round_trips[%]")
