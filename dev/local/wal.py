"""Keep a state as a snapshot and a write-ahead log of the changes since, so that a kill at any moment loses nothing.

Generation n is the folder `n` (a snapshot, complete before it gets this name; none for generation 0) and the file
`n.wal` (a line for each later change). While snapshot n+1 is written, changes go to `n+1.wal` already. Until it is
complete, snapshot n with the logs n and n+1 is the whole state.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


class WriteAheadLog:
    """The state of a folder. `change_count` counts the changes since the last `rotate`."""

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
        """The folder of the latest snapshot. Before the first snapshot it does not exist."""
        return self._folder / str(self.generation)

    def pending_changes(self) -> Iterator[dict[str, Any]]:
        """Yield the changes since the snapshot, in order, without an incomplete last line: it was not acknowledged."""
        for generation in self._log_generations():
            for line in self._log_path(generation).read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def append(self, change: dict[str, Any]) -> None:
        """Append a change. After the return a kill of this process does not undo it."""
        if self._file is None:
            self._open_log(max(self._log_generations(), default=self.generation))
        assert self._file is not None
        self._file.write(json.dumps(change).encode() + b"\n")
        self.change_count += 1

    def rotate(self) -> int:
        """Start the log of the next generation, and return the generation of the snapshot to take."""
        generation = max(self._log_generations(), default=self.generation) + 1
        self._open_log(generation)
        self.change_count = 0
        return generation

    def temporary_folder(self, generation: int) -> Path:
        """Return the folder in which to write that snapshot."""
        return self._folder / f"{generation}.new"

    def commit_snapshot(self, generation: int) -> None:
        """Give a complete snapshot its name."""
        self.temporary_folder(generation).rename(self._folder / str(generation))

    def delete_before(self, generation: int) -> None:
        """Delete what the snapshot of a generation replaces."""
        self.generation = generation
        for path in self._folder.iterdir():
            if path.stem.isdigit() and int(path.stem) < generation:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _log_path(self, generation: int) -> Path:
        return self._folder / f"{generation}.wal"

    def _log_generations(self) -> list[int]:
        """Return the generations of the logs since the snapshot, ascending. A kill may have left older logs."""
        found = (int(path.stem) for path in self._folder.glob("*.wal"))
        return sorted(number for number in found if number >= self.generation)

    def _open_log(self, generation: int) -> None:
        self.close()
        path = self._log_path(generation)
        if path.exists() and not (content := path.read_bytes()).endswith(b"\n") and content:
            # The next change must not be joined to an incomplete line.
            path.write_bytes(content[: content.rfind(b"\n") + 1])
        self._file = path.open("ab", buffering=0)
