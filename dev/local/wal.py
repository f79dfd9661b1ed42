"""State kept as snapshots and, since the latest of them, a journal of what changed: a kill at any moment loses nothing.

Generation n is the folder `n` (a snapshot, made whole before it gets its name; none for generation 0) and the file
`n.wal` (a line for each change since). While snapshot n+1 is being made, changes go to its journal already; until
it is there, journals n and n+1 together make up for it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class WriteAheadLog:
    """The folder's state; `changes` counts the lines since the latest turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.new"):
            shutil.rmtree(unfinished)
        found = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        self.generation = max(found, default=0)
        self.change_count = 0
        self._file: IO[bytes] | None = None

    @property
    def snapshot_folder(self) -> Path:
        """The latest snapshot's folder; not there before the first."""
        return self._folder / str(self.generation)

    def pending_changes(self) -> Iterator[dict[str, Any]]:
        """What changed since that snapshot, in order. A last line cut short was never acknowledged, and is left out."""
        for number in self._log_generations():
            for line in self._log_path(number).read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def append(self, change: dict[str, Any]) -> None:
        """Write a change down, where a kill of this process cannot undo it any more."""
        if self._file is None:
            self._open_log(max(self._log_generations(), default=self.generation))
        assert self._file is not None
        self._file.write(json.dumps(change).encode() + b"\n")
        self.change_count += 1

    def rotate(self) -> int:
        """Write to the next generation's journal from now on; the number of the snapshot that is to be made."""
        following = max(self._log_generations(), default=self.generation) + 1
        self._open_log(following)
        self.change_count = 0
        return following

    def temporary_folder(self, generation: int) -> Path:
        """Where to make that snapshot."""
        return self._folder / f"{generation}.new"

    def commit_snapshot(self, generation: int) -> None:
        """Give a snapshot that is whole its name."""
        self.temporary_folder(generation).rename(self._folder / str(generation))

    def delete_before(self, generation: int) -> None:
        """Snapshot `number` is there: what it replaces may go."""
        self.generation = generation
        for path in self._folder.iterdir():
            if path.stem.isdigit() and int(path.stem) < generation:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _log_path(self, generation: int) -> Path:
        return self._folder / f"{generation}.wal"

    def _log_generations(self) -> list[int]:
        """The journals that count, ascending: older ones were left by a kill between two deletions."""
        found = (int(path.stem) for path in self._folder.glob("*.wal"))
        return sorted(number for number in found if number >= self.generation)

    def _open_log(self, generation: int) -> None:
        self.close()
        path = self._log_path(generation)
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
            # What comes next must not be joined to half a line.
            path.write_bytes(content[: content.rfind(b"\n") + 1])
        self._file = path.open("ab", buffering=0)
