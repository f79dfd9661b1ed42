"""What a callback of a transfer may do with the client that calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.fake_service import FakeService
from ferry_client.client import Ferry
from ferry_client.errors import UsageError
from ferry_client.transport import HttpRequest

MIB = 1024 * 1024
Connect = Callable[..., Ferry]

STARTS: dict[str, Callable[[Ferry, Path], object]] = {
    "upload": lambda ferry, folder: ferry.upload(b"1", "b"),
    "download": lambda ferry, folder: ferry.download("x", folder / "x"),
    "read": lambda ferry, folder: ferry.read("x"),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_transfer_that_a_callback_starts_is_a_usage_error(
    connect: Connect, fake: FakeService, tmp_path: Path, start: Callable[[Ferry, Path], object]
) -> None:
    """With one job each would wait for the other for ever; the error says what to do instead."""
    fake.put_file("x", b"1")
    ferry = connect(max_jobs=1)

    def on_progress(progress: object) -> None:
        start(ferry, tmp_path)

    with pytest.raises(UsageError, match="A callback has started a transfer of the Ferry that calls it"):
        ferry.upload(bytes(5 * MIB), "a", on_progress=on_progress)
    assert set(fake.files) == {"x"}


def test_transfer_that_a_note_starts_is_a_usage_error(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """`on_note` is a callback like `on_progress`."""
    fake.put_file("x", b"1")
    ferry = connect(max_jobs=1)
    notes: list[str] = []

    def replace(request: HttpRequest) -> None:
        if request.method == "GET":
            fake.put_file("x", b"2")

    def on_note(note: str) -> None:
        notes.append(note)
        ferry.upload(b"1", "b")

    fake.before.append(replace)
    with pytest.raises(UsageError, match="callback"):
        ferry.download("x", tmp_path / "x", on_note=on_note)
    assert len(notes) == 1
    assert set(fake.files) == {"x"}


def test_callback_may_send_requests_and_use_another_client(connect: Connect, fake: FakeService) -> None:
    """A record that is asked for takes no job, and another client has jobs of its own."""
    fake.put_file("x", b"1")
    ferry, other = connect(max_jobs=1), connect(max_jobs=1)
    sizes: list[int] = []

    def on_progress(progress: object) -> None:
        sizes.append(ferry.stat("x").size)
        other.upload(b"2", f"b-{len(sizes)}")

    ferry.upload(b"1", "a", on_progress=on_progress)
    assert set(sizes) == {1}
    assert {"a", "b-1"} <= set(fake.files)
    assert ferry.read("x") == b"1"
