"""What the client keeps on disk between runs: which uploads this machine began."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ferry_client.atomic_files import write_atomically


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """An upload that this machine began."""

    upload_id: str
    """The upload."""
    fingerprint: str
    """The source's fingerprint."""


class StateFolder:
    """A folder with a file for each upload in progress. Each is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """The folder; it is created on the first write, readable by its owner alone."""

    def get_upload(self, url: str, client_id: str, name: str) -> StartedUpload | None:
        """Return the upload of a name that this machine began; None if there is none or its file cannot be read."""
        try:
            return StartedUpload(**json.loads(self._upload_path(url, client_id, name).read_text()))
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def put_upload(self, url: str, client_id: str, name: str, started: StartedUpload) -> None:
        """Keep an upload. A power loss may lose it: it only decides which message a changed file gets."""
        with suppress(OSError):
            write_atomically(
                self._upload_path(url, client_id, name), json.dumps(asdict(started)).encode(), durable=False
            )

    def delete_upload(self, url: str, client_id: str, name: str) -> None:
        """Forget a name."""
        with suppress(OSError):
            self._upload_path(url, client_id, name).unlink()

    def _upload_path(self, url: str, client_id: str, name: str) -> Path:
        key = hashlib.sha256(f"{url}\0{client_id}\0{name}".encode()).hexdigest()
        return self.path / "uploads" / f"{key[:32]}.json"
