"""Check what ruff has no rule for: `python -m dev.lint.structure`.

A Python file has at most MAX_LINES lines. Every test has a docstring.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from dev.lint.words import checked_files
from dev.paths import ROOT

MAX_LINES = 400


def main() -> int:
    """Return 0 if every file passes, 1 otherwise."""
    problems = [
        f"{path.relative_to(ROOT)}{problem}"
        for path in checked_files()
        if path.suffix == ".py"
        for problem in find_problems(path.read_text(encoding="utf-8"), is_test=path.name.startswith("test_"))
    ]
    for problem in problems:
        print(problem)
    print(f"structure: {len(problems)} problems")
    return 1 if problems else 0


def find_problems(source: str, *, is_test: bool) -> Iterator[str]:
    """Yield the problems of a Python file, each with its line number in front."""
    line_count = len(source.splitlines())
    if line_count > MAX_LINES:
        yield f":{MAX_LINES + 1}: the file has {line_count} lines, more than {MAX_LINES}: split it"
    for node in ast.walk(ast.parse(source)) if is_test else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test_without_docstring(node):
            yield f":{node.lineno}: {node.name} has no docstring"


def _is_test_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.name.startswith("test_") and ast.get_docstring(function) is None


if __name__ == "__main__":
    sys.exit(main())
