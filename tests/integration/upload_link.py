"""An upload link with a folder of its own, as its owner sees it."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.integration.stack import Stack

_NUMBERS = count()


class UploadLink:
    """An upload link. `members` are those of the request that creates it; without a prefix it gets a new folder."""

    def __init__(self, stack: Stack, **members: Any) -> None:
        self.stack = stack
        members.setdefault("prefix", f"guest {next(_NUMBERS)}/")
        self.link: dict[str, Any] = stack.post_json("POST /links", {"kind": "upload", **members}).json
        self.prefix: str = self.link["prefix"]
        self.secret: str = self.link["url"].rpartition("/")[2]

    @property
    def used(self) -> tuple[int, int]:
        """Files and bytes that count in the limits of the link."""
        path = {"link_id": self.link["link_id"]}
        used = self.stack.request("GET /links/{link_id}", path=path).json["used"]
        return used["files"], used["bytes"]

    @property
    def activity(self) -> list[tuple[str, str, int]]:
        """Action, name and size of each entry, the newest first."""
        path = {"link_id": self.link["link_id"]}
        listed = self.stack.request("GET /links/{link_id}/activity", path=path).json["activity"]
        return [(each["action"], each["filename"], each["size"]) for each in listed]
