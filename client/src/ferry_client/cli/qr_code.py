"""A link as a QR code of half blocks, which the camera of a phone reads from a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

BORDER = 2
"""Light modules around the code. The standard has 4; cameras read 2, and a line of 40 columns has no room for more."""

_COLORS, _RESET = "\x1b[30;107m", "\x1b[0m"
"""Black on bright white, whatever colors the terminal has."""

_HALF_BLOCKS = {(False, False): " ", (False, True): "▄", (True, False): "▀", (True, True): "█"}
"""Character by whether its upper and its lower module is dark."""


def wants_qr_code(asked: bool | None, *, as_json: bool, quiet: bool) -> bool:
    """Return whether a link is shown as a QR code.

    Args:
        asked: True for `--qr`, False for `--no-qr`, None for neither: on a terminal that shows text to people.
        as_json: whether the output is for programs.
        quiet: whether only results and errors are shown.
    """
    if asked is not None:
        return asked
    return _is_terminal(sys.stdout) and _is_terminal(sys.stderr) and not as_json and not quiet


def render(text: str) -> list[str] | None:
    """Return the lines of the QR code of a text, for standard error; None if the terminal is too narrow for it."""
    import segno

    code = segno.make(text, error="l", boost_error=False, micro=False)
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=BORDER)]
    if sys.stderr.isatty() and shutil.get_terminal_size().columns < len(rows):
        return None
    rows += [[False] * len(rows)] * (len(rows) % 2)
    has_colors = _is_terminal(sys.stderr) and not os.environ.get("NO_COLOR")
    if sys.stderr.isatty() and not has_colors:
        rows = [[not module for module in row] for row in rows]  # Such a terminal is bright on dark.
    lines = [
        "".join(_HALF_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
    return [f"{_COLORS}{line}{_RESET}" for line in lines] if has_colors else lines


def _is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that takes colors and cursor movements."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
