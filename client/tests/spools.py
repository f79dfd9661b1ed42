"""Fixtures of the spool."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ferry_client.client import Ferry
from ferry_client.spool import Spool, SpoolOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


@pytest.fixture
def ferry(connect: Callable[..., Ferry]) -> Ferry:
    return connect(retry_for_seconds=0)


def run_once(ferry: Ferry, folder: Path, **options: object) -> Spool:
    spool = Spool(
        ferry,
        folder,
        "in/",
        SpoolOptions(settle_seconds=0, if_exists="replace", **options),  # type: ignore[arg-type]
        on_event=lambda text: None,
    )
    spool.run(once=True)
    return spool


def write(folder: Path, name: str, data: bytes, mtime: int) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path
