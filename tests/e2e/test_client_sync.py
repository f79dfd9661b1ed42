"""`ferry sync` against the local service: what it leaves alone, with and without its cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.clients import MIB, ServiceUnderTest, random_bytes
from tests.e2e.ferry_command import LARGE_CHUNKS, FerryCommand

pytestmark = pytest.mark.stress


@pytest.mark.parametrize("options", [(), ("--no-direct",)], ids=["parts", "chunks"])
def test_sync_without_a_cache_recognizes_what_it_sent(
    service: ServiceUnderTest, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    """A machine without the cache recognizes files of every size by ETag, so that nothing is sent twice."""
    ferry = FerryCommand(service, tmp_path)
    for number, size in enumerate((0, 3 * MIB, 5 * MIB + 1, 17 * MIB)):
        ferry.write(f"tree/{number}", random_bytes(size, seed=number))
    sent = ferry.run("sync", "tree", f"{name}/", *options, before=LARGE_CHUNKS)
    assert len(sent.out.splitlines()) == 4
    shutil.rmtree(tmp_path / ".state")
    again = ferry.run("sync", "tree", f"{name}/", *options)
    assert (again.code, again.out) == (0, "")
    down = ferry.run("sync", f"{name}/", "back", *options)
    assert len(down.out.splitlines()) == 4
    shutil.rmtree(tmp_path / ".state")
    again = ferry.run("sync", f"{name}/", "back", *options)
    assert (again.code, again.out) == (0, "")
