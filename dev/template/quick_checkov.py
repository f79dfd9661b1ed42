"""Run checkov's command line (`PYTHON -P quick_checkov.py OPTION...`) without a piece of work that it repeats.

For each reference in a template, checkov builds the tables of its parser of JSON paths anew, which takes two thirds of
its time. Here they are built once. The interpreter is that of checkov's environment, which has no package of this
project.
"""

from __future__ import annotations

import sys
from typing import Any


def keep_parsers() -> None:
    """Have PLY build one parser of each kind. A parser of JSON paths keeps nothing between two of them."""
    from ply import yacc

    build_parser = yacc.yacc
    parsers: dict[tuple[str, str], Any] = {}

    def find_parser(*, module: object, start: str, **options: object) -> Any:
        kind = type(module).__qualname__, start
        if kind not in parsers:
            parsers[kind] = build_parser(module=module, start=start, **options)
        return parsers[kind]

    yacc.yacc = find_parser


def main() -> int:
    """Return checkov's exit code."""
    keep_parsers()
    from checkov.main import Checkov

    code: int = Checkov().run()
    return code


if __name__ == "__main__":
    sys.exit(main())
