"""Contents of files."""

from __future__ import annotations

import random


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)
