"""Watch the free space of the state folder's disk, and make SeaweedFS usable again after the disk was full.

SeaweedFS's store of names (LevelDB) rejects every write after one that found no space, until it is opened again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Protocol

MIN_FREE_BYTES = 64 * 1024 * 1024
"""With less free space than this the gateway rejects uploads: requests that run already need room to end."""
_CHECK_SECONDS = 0.5


class DiskSpace:
    """The free space of a folder's disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_low(self) -> bool:
        """Return whether less than `MIN_FREE_BYTES` are free."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize < MIN_FREE_BYTES


class RestartableServer(Protocol):
    """A server that may have to be restarted after its disk was full."""

    met_full_disk: bool
    """Whether a write has failed for lack of space since the last start."""

    async def restart(self) -> None: ...


async def restart_after_full_disk(
    space: DiskSpace, server: RestartableServer, check_seconds: float = _CHECK_SECONDS
) -> None:
    """Restart the server each time its disk was full and has space again, until this is cancelled.

    Raises:
        LocalError: the server does not start again.
    """
    was_low = False
    while True:
        await asyncio.sleep(check_seconds)
        low = space.is_low()
        if low and not was_low:
            print("ferry: the disk is almost full: uploads get 507 until there is space", file=sys.stderr, flush=True)
        if was_low and not low:
            print("ferry: the disk has space again", file=sys.stderr, flush=True)
        was_low = low
        if server.met_full_disk and not low:
            await server.restart()
