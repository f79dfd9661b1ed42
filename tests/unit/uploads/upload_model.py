"""What the model of `state_machine` holds: what clients have seen of an upload, and a backup of the metadata store."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from dev.fakes.metadata_rows import Rows
from ferry.rules.layout import ChunkLayout


@dataclass
class UploadModel:
    """What clients have seen of one upload."""

    layout: ChunkLayout
    """How its file is cut."""
    acknowledged: dict[int, bytes] = field(default_factory=dict)
    """Bodies of acknowledged chunks, by index."""
    sent: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """All bodies that were sent as a chunk, by index."""
    put: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """All bodies that S3 accepted as a part, by number."""
    asked_for_urls: bool = False
    """Whether a client asked for presigned parts, which the upload then has, whatever the response was."""
    earlier_object: bytes | None = None
    """Its object, if that was built before a restore of the metadata store."""

    def may_come_directly(self, number: int, body: bytes) -> bool:
        """Return whether a part with that body may have gone to S3 directly, so that it need not have its chunks."""
        if body in self.put[number]:
            return True
        first = (number - 1) * self.layout.part_size
        earlier = self.earlier_object
        return self.asked_for_urls and earlier is not None and body == earlier[first : first + len(body)]


@dataclass
class Backup:
    """The metadata store at an earlier time."""

    taken_at: int
    """When, in epoch milliseconds."""
    rows: Rows
    """What it held."""
    acknowledged: dict[str, dict[int, bytes]]
    """What had been acknowledged by then, by upload id and chunk index."""
