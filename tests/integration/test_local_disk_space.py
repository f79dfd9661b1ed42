"""The watch over the free space of the state folder's disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dev.local import disk_space
from dev.local.disk_space import DiskSpace, restart_after_full_disk
from tests.support.waiting import wait_until


class FakeServer:
    """A server that counts its restarts."""

    def __init__(self) -> None:
        self.met_full_disk = False
        self.restarts = 0

    async def restart(self) -> None:
        self.met_full_disk = False
        self.restarts += 1


class FakeSpace(DiskSpace):
    """A disk that is low when the test says so."""

    low = False
    checks = 0

    def is_low(self) -> bool:
        self.checks += 1
        return self.low

    async def wait_for_checks(self) -> None:
        """Return after two more checks, of which the second began after this call."""
        expected = self.checks + 2
        await wait_until(lambda: self.checks >= expected)


def test_server_restarts_once_there_is_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that met a full disk is restarted when there is space, and no other is."""

    async def scenario() -> None:
        server, space = FakeServer(), FakeSpace(tmp_path)
        watch = asyncio.create_task(restart_after_full_disk(space, server, check_seconds=0.001))
        await space.wait_for_checks()
        assert server.restarts == 0
        space.low = server.met_full_disk = True
        await space.wait_for_checks()
        assert server.restarts == 0
        space.low = False
        await wait_until(lambda: server.restarts > 0)
        await space.wait_for_checks()
        assert server.restarts == 1
        watch.cancel()

    asyncio.run(scenario())
    assert capsys.readouterr().err.count("almost full") == 1


def test_disk_space_is_low_below_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit decides."""
    assert not DiskSpace(tmp_path).is_low()
    monkeypatch.setattr(disk_space, "MIN_FREE_BYTES", 2**62)
    assert DiskSpace(tmp_path).is_low()
