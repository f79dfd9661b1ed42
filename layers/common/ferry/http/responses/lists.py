"""The response bodies of lists: pages, each with the cursor of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ferry.http.json_values import OMIT_NONE
from ferry.http.responses.status import StatusBody
from ferry.ports.types import Page
from ferry.status.snapshot import StatusReport


@dataclass(frozen=True, slots=True)
class UploadList:
    """A page of the uploads in progress."""

    uploads: Sequence[StatusBody]
    """The uploads of this page; `missing` has at most 1,000 ranges each."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next page begins; absent on the last page."""

    @classmethod
    def from_page(cls, page: Page[StatusReport]) -> UploadList:
        return cls([StatusBody.from_report(report) for report in page.items], page.cursor)
