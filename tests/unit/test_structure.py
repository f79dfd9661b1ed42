"""The check of file lengths and test docstrings."""

from __future__ import annotations

import pytest

from dev.lint.structure import MAX_LINES, find_problems

WITH_DOCSTRING = 'def test_a() -> None:\n    """It holds."""\n'
WITHOUT_DOCSTRING = "class TestX:\n    async def test_a(self) -> None: ...\n"


@pytest.mark.parametrize(
    ("source", "is_test", "problem_count"),
    [
        (WITH_DOCSTRING, True, 0),
        (WITHOUT_DOCSTRING, True, 1),
        (WITHOUT_DOCSTRING, False, 0),
        ("\n" * MAX_LINES, False, 0),
        ("\n" * (MAX_LINES + 1), False, 1),
    ],
)
def test_find_problems_long_file_or_test_without_docstring(source: str, is_test: bool, problem_count: int) -> None:
    """A problem is reported for a file that is too long and for a test without a docstring."""
    assert len(list(find_problems(source, is_test=is_test))) == problem_count
