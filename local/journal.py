"""State kept as snapshots and, since the latest of them, a journal of what changed: a kill at any moment loses nothing.

Generation n is the folder `n` (a snapshot, made whole before it gets its name; none for generation 0) and the file
`n.journal` (a line for each change since). While snapshot n+1 is being made, changes go to its journal already; until
it is there, journals n and n+1 together make up for it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class Journal:
    """The folder's state; `changes` counts the lines since the latest turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.new"):
            shutil.rmtree(unfinished)
        found = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        self.generation = max(found, default=0)
        self.changes = 0
        self._file: IO[bytes] | None = None

    @property
    def snapshot(self) -> Path:
        """The latest snapshot's folder; not there before the first."""
        return self._folder / str(self.generation)

    def pending(self) -> Iterator[dict[str, Any]]:
        """What changed since that snapshot, in order. A last line cut short was never acknowledged, and is left out."""
        for number in self._journals():
            for line in self._path(number).read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def append(self, change: dict[str, Any]) -> None:
        """Write a change down, where a kill of this process cannot undo it any more."""
        if self._file is None:
            self._open(max(self._journals(), default=self.generation))
        assert self._file is not None
        self._file.write(json.dumps(change).encode() + b"\n")
        self.changes += 1

    def turn(self) -> int:
        """Write to the next generation's journal from now on; the number of the snapshot that is to be made."""
        following = max(self._journals(), default=self.generation) + 1
        self._open(following)
        self.changes = 0
        return following

    def staging(self, number: int) -> Path:
        """Where to make that snapshot."""
        return self._folder / f"{number}.new"

    def finish(self, number: int) -> None:
        """Give a snapshot that is whole its name."""
        self.staging(number).rename(self._folder / str(number))

    def forget_before(self, number: int) -> None:
        """Snapshot `number` is there: what it replaces may go."""
        self.generation = number
        for path in self._folder.iterdir():
            if path.stem.isdigit() and int(path.stem) < number:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.journal"

    def _journals(self) -> list[int]:
        """The journals that count, ascending: older ones were left by a kill between two deletions."""
        found = (int(path.stem) for path in self._folder.glob("*.journal"))
        return sorted(number for number in found if number >= self.generation)

    def _open(self, number: int) -> None:
        self.close()
        path = self._path(number)
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
            # What comes next must not be joined to half a line.
            path.write_bytes(content[: content.rfind(b"\n") + 1])
        self._file = path.open("ab", buffering=0)
