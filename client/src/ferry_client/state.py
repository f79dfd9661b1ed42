"""What the client keeps on disk between runs: which upload of which name came from this machine."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UploadNote:
    """An upload that this machine began."""

    upload_id: str
    """The upload."""
    fingerprint: str
    """The source's fingerprint."""


class StateFolder:
    """Notes in a folder, one file each. Each is replaced in one step, so that a crash leaves the old or the new one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The folder; it is created on the first write, readable by its owner alone."""

    def get_upload(self, url: str, client_id: str, name: str) -> UploadNote | None:
        """Return the note of a name; None if there is none or it cannot be read."""
        try:
            return UploadNote(**json.loads(self._upload_path(url, client_id, name).read_text()))
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def put_upload(self, url: str, client_id: str, name: str, note: UploadNote) -> None:
        """Keep a note, which may be lost with the power: it only decides which message a changed file gets."""
        with suppress(OSError):
            write_atomically(self._upload_path(url, client_id, name), json.dumps(asdict(note)).encode(), durable=False)

    def delete_upload(self, url: str, client_id: str, name: str) -> None:
        """Forget a name."""
        with suppress(OSError):
            self._upload_path(url, client_id, name).unlink()

    def _upload_path(self, url: str, client_id: str, name: str) -> Path:
        key = hashlib.sha256(f"{url}\0{client_id}\0{name}".encode()).hexdigest()
        return self.path / "uploads" / f"{key[:32]}.json"


def write_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True, temporary: Path | None = None
) -> None:
    """Replace a file in one step; a crash leaves the old content or the new one. Raises `OSError`.

    Args:
        path: the file.
        data: its new content.
        mode: its permission bits.
        durable: whether the content survives a loss of power from now on, which costs a wait for the disk.
        temporary: where the content is written first, in the same folder, which must exist; only for a file that one
            process writes, so that a kill leaves no more than this one file behind. None: under a name of its own.
    """
    if temporary is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        temporary = Path(name)
    else:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
