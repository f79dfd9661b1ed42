"""The `ferry` command against the local service: faults on the way, kills, and what goes wrong on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dev.network.fault_proxy import Fault, FaultProxy
from tests.e2e.clients import MIB, random_bytes
from tests.e2e.ferry_command import LARGE_CHUNKS, FerryCommand, finish, matching, random_faults, wait_for_request
from tests.support.small_disk import mount_small_disk

SIZE = 20 * MIB + 7

STOP_SECONDS = 5
"""How long an interrupted client may take: it stops at once, but other tests keep the machine busy."""


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(0, marks=pytest.mark.stress),
        3 * MIB,
        pytest.param(5 * MIB, marks=pytest.mark.stress),
        pytest.param(SIZE, marks=pytest.mark.stress),
    ],
)
def test_client_moves_a_file_over_a_line_that_breaks(
    ferry: FerryCommand, proxy: FaultProxy, name: str, size: int
) -> None:
    """Cuts, 503, 429 and lost answers, up and down, at every size: the bytes are right."""
    data = random_bytes(size)
    ferry.write("a", data)
    proxy.decide = random_faults(size)  # type: ignore[assignment]
    up = ferry.run("put", "a", name)
    assert (up.code, up.err) == (0, up.err)
    down = ferry.run("get", name, "b")
    assert down.code == 0, down.err
    assert (ferry.folder / "b").read_bytes() == data


@pytest.mark.parametrize("direction", ["up", pytest.param("down", marks=pytest.mark.stress)])
def test_killed_client_continues(ferry: FerryCommand, proxy: FaultProxy, name: str, direction: str) -> None:
    """Killed three times, the same command goes on where it was, and sends little twice."""
    data = random_bytes(SIZE)
    ferry.write("a", data)
    arguments = ["put", "a", name, "--no-direct", "--limit-rate", "6M"]
    part = "/upload/chunk"
    if direction == "down":
        assert ferry.run("put", "a", name, before=LARGE_CHUNKS).code == 0
        arguments, part = ["get", name, "b", "--no-direct", "--limit-rate", "6M"], "/download/partial"
    for kill in range(3):
        process = ferry.start(*arguments)
        if direction == "up":
            wait_for_request(proxy, part, matching(proxy.requests, part) + 5)
        else:
            wait_for_journal(ferry.folder / ".b.ferry-part.json", (kill + 1) * MIB)
        process.kill()
        assert finish(process).code == -signal.SIGKILL, kill
    done = ferry.run(*arguments[:3], "--json")
    assert done.code == 0, done.err
    # How many of the chunks under way at a kill were acknowledged depends on the machine.
    assert done.lines[0]["resumed_bytes"] > 0
    if direction == "up":
        assert proxy.bytes_up < 1.1 * SIZE + 3 * 4 * 4 * MIB
        assert ferry.run("get", name, "b").code == 0
    assert (ferry.folder / "b").read_bytes() == data


def wait_for_journal(path: Path, size_bytes: int) -> None:
    """Wait until the journal of a download has so many bytes."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError, ValueError):
            if sum(length for _, _, length in json.loads(path.read_text())["ranges"]) >= size_bytes:
                return
        assert time.monotonic() < deadline, "too few bytes came down"
        time.sleep(0.02)


def test_interrupted_client_stops_soon(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """Ctrl-C once: exit code 130, and how to go on."""
    ferry.write("a", random_bytes(SIZE))
    process = ferry.start("put", "a", name, "--limit-rate", "1M")
    wait_for_request(proxy, "/upload/chunk")
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=STOP_SECONDS)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.endswith("ferry: stopped. Run the same command again: it continues where it stopped.\n")


@pytest.mark.stress
def test_sync_over_a_line_that_breaks_makes_the_sides_alike(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """A tree of 30 files, up and down: every byte is right, and a second run has nothing to do."""
    for number in range(30):
        ferry.write(f"tree/{number % 3}/{number}", random_bytes(number * 1000, seed=number))
    proxy.decide = random_faults(3)  # type: ignore[assignment]
    for arguments in (("tree", f"{name}/"), (f"{name}/", "back")):
        done = ferry.run("sync", *arguments)
        assert done.code == 0, done.err
    assert {path.name: path.read_bytes() for path in (ferry.folder / "back").rglob("*") if path.is_file()} == {
        str(number): random_bytes(number * 1000, seed=number) for number in range(30)
    }
    again = ferry.run("sync", "tree", f"{name}/")
    assert (again.code, again.out) == (0, "")


def test_spool_killed_at_random_loses_and_doubles_nothing(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """Killed five times, the spool sends each file once and deletes it after that."""
    for number in range(12):
        ferry.write(f"spool/{number:02}", random_bytes(5000, seed=number))
    arguments = ("spool", "spool", f"{name}/", "--settle", "0", "--once")
    for kill in range(5):
        process = ferry.start(*arguments)
        seen = matching(proxy.requests, "/files", "PUT")
        wait_for_request(proxy, "/files", seen + 1 + kill % 2, "PUT")
        process.kill()
        finish(process)
    done = ferry.run(*arguments)
    assert done.code == 0, done.err
    assert not [path for path in (ferry.folder / "spool").iterdir() if not path.name.startswith(".ferry-spool")]
    listed = ferry.run("ls", "-r", f"{name}/")
    assert listed.out.split() == [f"{name}/{number:02}" for number in range(12)]


def test_doctor_finds_nothing_to_fix(ferry: FerryCommand) -> None:
    """On a sound machine every check is right."""
    done = ferry.run("doctor", "--json")
    assert done.code == 0, done.out
    assert [line["check"] for line in done.lines] == [
        *("proxy", "checksum", "state folder", "service", "clock", "login"),
        *("send", "fetch", "send to S3", "fetch from S3"),
    ]


CLOCK_AN_HOUR_OFF = "import time; right = time.time; time.time = lambda: right() + 3600"


def test_clock_an_hour_off_is_found_and_harmless(ferry: FerryCommand, name: str) -> None:
    """The doctor says what to fix; transfers work."""
    done = ferry.run("doctor", before=CLOCK_AN_HOUR_OFF)
    assert done.code == 1
    expected = r"^FIX   clock: (\d+) s ahead of the service's\. Transfers work; set it, for example by NTP\.$"
    finding = re.search(expected, done.out, re.MULTILINE)
    assert finding, done.out
    # The service's Date field has whole seconds, and its answer takes some time.
    assert 3598 <= int(finding[1]) <= 3602
    ferry.write("a", random_bytes(SIZE))
    assert ferry.run("put", "a", name, before=f"{CLOCK_AN_HOUR_OFF}\n{LARGE_CHUNKS}").code == 0


def test_revoked_client_is_rejected(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """A client that is revoked in the middle: exit code 4, and what to check."""
    ferry.write("a", random_bytes(SIZE))

    def revoke(method: str, url: str) -> Fault | None:
        del method
        if matching(proxy.requests, "/upload/chunk") < 2:
            return None
        return Fault(status=401, body=b"{}") if "/auth/token" in url or "/upload/" in url else None

    proxy.decide = revoke
    done = ferry.run("put", "a", name, "--no-direct")
    assert (done.code, done.err) == (
        4,
        "ferry: The service does not accept the client id and secret. Check them with `ferry login`.\n",
    )


def test_full_disk_is_named_before_the_first_byte(ferry: FerryCommand, tmp_path: Path, name: str) -> None:
    """A download reserves its space: on a full disk it ends with exit code 8 and has fetched nothing. After some space
    was freed, the same command succeeds.
    """
    data = random_bytes(SIZE)
    ferry.write("a", data)
    assert ferry.run("put", "a", name, before=LARGE_CHUNKS).code == 0
    with mount_small_disk(tmp_path / "disk", 32) as disk:
        disk.fill(keep_bytes=8 * MIB)
        done = ferry.run("get", name, "disk/b")
        assert (done.code, done.err) == (
            8,
            "ferry: No space left for disk/b. Free some and run the same command again; it continues.\n",
        )
        assert not (disk.folder / "b").exists()
        disk.free()
        done = ferry.run("get", name, "disk/b", "--json")
        assert done.code == 0, done.err
        assert done.lines[0]["resumed_bytes"] == 0
        assert (disk.folder / "b").read_bytes() == data


READ_ERROR = """
import os, errno
read = os.pread
def fail(descriptor, length, first):
    if first > 6_000_000: raise OSError(errno.EIO, os.strerror(errno.EIO))
    return read(descriptor, length, first)
os.pread = fail
"""


def test_read_error_is_named(ferry: FerryCommand, name: str) -> None:
    """A disk that fails in the middle of a file: exit code 1, and no file appears."""
    ferry.write("a", random_bytes(SIZE))
    done = ferry.run("put", "a", name, before=READ_ERROR + LARGE_CHUNKS)
    assert (done.code, done.err) == (1, "ferry: a cannot be read: Input/output error.\n")
    assert ferry.run("stat", name).code == 3


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (SIZE + 1, "a changed while it was sent. The service has no file of mixed content. Send it again."),
        (MIB, "a is shorter than when its upload began. Send it again."),
    ],
    ids=["grown", "shrunk"],
)
def test_file_that_changes_meanwhile_is_named(
    ferry: FerryCommand, proxy: FaultProxy, name: str, size: int, message: str
) -> None:
    """A file that grows or shrinks while it is sent: exit code 7, and no file appears. Sent again, it is right."""
    path = ferry.write("a", random_bytes(SIZE))
    options = ("--no-direct", "--limit-rate", "12M", "--jobs", "1", "--quiet")
    process = ferry.start("put", "a", name, *options, before=LARGE_CHUNKS)
    wait_for_request(proxy, "/upload/chunk")
    os.truncate(path, size)
    done = finish(process)
    assert (done.code, done.err) == (7, f"ferry: {message}\n")
    assert ferry.run("stat", name).code == 3
    assert ferry.run("put", "a", name, before=LARGE_CHUNKS).code == 0
    assert ferry.run("get", name, "b").code == 0
    assert (ferry.folder / "b").read_bytes() == path.read_bytes()
