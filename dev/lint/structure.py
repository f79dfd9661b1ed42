"""Check what ruff has no rule for: `python -m dev.lint.structure`.

A Python file has at most MAX_LINES lines, and imports no module of tests: what several test modules need is in a module
of its own. Every test has a docstring. Outside of tests, every public field of a dataclass, a NamedTuple or a Protocol
has a docstring below it or a comment.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dev.lint.words import checked_files
from dev.paths import ROOT

MAX_LINES = 400
TEST_PREFIX = "test_"
_FIELD_BASES = {"NamedTuple", "Protocol"}


def main() -> int:
    """Return 0 if every file passes, 1 otherwise."""
    problems = [
        f"{path.relative_to(ROOT)}{problem}"
        for path in checked_files()
        if path.suffix == ".py"
        for problem in find_problems(
            path.read_text(encoding="utf-8"),
            is_test=path.name.startswith(TEST_PREFIX),
            checks_fields="tests" not in path.relative_to(ROOT).parts,
        )
    ]
    for problem in problems:
        print(problem)
    print(f"structure: {len(problems)} problems")
    return 1 if problems else 0


def find_problems(source: str, *, is_test: bool, checks_fields: bool = True) -> Iterator[str]:
    """Yield the problems of a Python file, each with its line number in front.

    Args:
        source: the file's content.
        is_test: whether its tests must have docstrings.
        checks_fields: whether its fields must have docstrings or comments.
    """
    line_count = len(source.splitlines())
    if line_count > MAX_LINES:
        yield f":{MAX_LINES + 1}: the file has {line_count} lines, more than {MAX_LINES}: split it"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for module in _imported_test_modules(node):
                yield f":{node.lineno}: imports the test module {module}: move what both need to a module without tests"
        if is_test and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test_without_docstring(node):
            yield f":{node.lineno}: {node.name} has no docstring"
        if checks_fields and isinstance(node, ast.ClassDef) and _has_fields(node):
            for field in _fields_without_docstring(node, source.splitlines()):
                yield f":{field.lineno}: the field {ast.unparse(field.target)} of {node.name} has no docstring below it"


def _imported_test_modules(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield the test modules (`test_…`) that a statement imports, or imports from."""
    source = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    for module in [*source, *(alias.name for alias in node.names)]:
        if any(name.startswith(TEST_PREFIX) for name in module.split(".")):
            yield module


def _is_test_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.name.startswith(TEST_PREFIX) and ast.get_docstring(function) is None


def _has_fields(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return bool(bases & _FIELD_BASES) or any("dataclass" in ast.unparse(name) for name in node.decorator_list)


def _fields_without_docstring(node: ast.ClassDef, lines: Sequence[str]) -> Iterator[ast.AnnAssign]:
    for field, below in pairwise([*node.body, None]):
        if not isinstance(field, ast.AnnAssign) or ast.unparse(field.target).startswith("_"):
            continue
        has_docstring = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if not has_docstring and not lines[field.lineno - 2].lstrip().startswith("#"):
            yield field


if __name__ == "__main__":
    sys.exit(main())
