"""The check of file lengths, of imports of test modules, and of docstrings of tests and fields."""

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


@pytest.mark.parametrize(
    ("source", "problem_count"),
    [
        ("from tests.unit.test_ranges import CASES\n", 1),
        ("from tests.unit import factories, test_ranges\n", 1),
        ("import tests.unit.test_ranges\n", 1),
        ("def helper() -> None:\n    from test_ranges import CASES\n", 1),
        ("from tests.unit.factories import CASES\n", 0),
        ("from unittest import mock\n", 0),
    ],
)
@pytest.mark.parametrize("is_test", [True, False])
def test_find_problems_import_of_test_module(source: str, is_test: bool, problem_count: int) -> None:
    """A problem is reported for each import of a test module, or from one."""
    assert len(list(find_problems(source, is_test=is_test))) == problem_count


@pytest.mark.parametrize(
    ("body", "problem_count"),
    [
        ("size: int", 1),
        ("size: int = 0\n    _cache: int = 0", 1),
        ('size: int\n    """Bytes."""', 0),
        ("# Bytes.\n    size: int", 0),
        ("_size: int", 0),
    ],
)
@pytest.mark.parametrize(
    "head", ["@dataclass\nclass File:", "@dataclass(frozen=True)\nclass File:", "class File(NamedTuple):"]
)
def test_find_problems_field_without_docstring(head: str, body: str, problem_count: int) -> None:
    """A problem is reported for each public field that has neither a docstring nor a comment."""
    assert len(list(find_problems(f"{head}\n    {body}\n", is_test=False))) == problem_count


def test_find_problems_field_of_test_is_accepted() -> None:
    """The classes of tests need no description of their fields."""
    assert not list(find_problems("@dataclass\nclass Case:\n    size: int\n", is_test=True, checks_fields=False))
