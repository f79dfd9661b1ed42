"""`ferry put -`: what a program writes, over a line that breaks."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from dev.network.fault_proxy import FaultProxy
from tests.e2e.clients import MIB, random_bytes
from tests.e2e.ferry_command import INTERRUPTIBLE, RUN, FerryCommand, random_faults, wait_for_request

pytestmark = pytest.mark.stress

UNKNOWN_SIZE, SPOOLED_SIZE = 30 * MIB + 11, 18 * MIB + 11
"""A pipe takes about one request for each 2 MiB, a spooled file over a line that breaks about ten for each MiB."""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("options", "size"),
    [((), UNKNOWN_SIZE), (("--spool-input",), SPOOLED_SIZE)],
    ids=["as-it-comes", "spooled"],
)
def test_pipe_over_a_line_that_breaks_arrives_whole(
    ferry: FerryCommand, proxy: FaultProxy, name: str, *, options: tuple[str, ...], size: int, seed: int
) -> None:
    """Requests that are cut, lost and rejected: the file is whole, and named as asked."""
    data = random_bytes(size)
    proxy.decide = random_faults(seed)  # type: ignore[assignment]
    done = ferry.run("put", "-", name, "--json", *options, stdin=data)
    assert done.code == 0, done.err
    assert (done.lines[0]["filename"], done.lines[0]["size"]) == (name, size)
    proxy.decide = lambda method, url: None
    assert ferry.run("get", name, "b").code == 0
    assert (ferry.folder / "b").read_bytes() == data


@pytest.mark.parametrize("if_exists", ["fail", "replace", "rename", "skip"])
def test_pipe_for_a_taken_name_is_treated_as_asked(ferry: FerryCommand, name: str, if_exists: str) -> None:
    """The choices mean for standard input what they mean for files."""
    data = random_bytes(5 * MIB)
    ferry.write("a", b"old")
    assert ferry.run("put", "a", name).code == 0
    done = ferry.run("put", "-", name, "--if-exists", if_exists, stdin=data)
    assert done.code == (5 if if_exists == "fail" else 0), done.err
    second = name if if_exists == "replace" else name.replace(".bin", " (2).bin")
    has_second = ferry.run("get", second, "b").code == 0
    assert has_second == (if_exists in ("replace", "rename"))
    if has_second:
        assert (ferry.folder / "b").read_bytes() == data
    if if_exists != "replace":
        assert ferry.run("cat", name).out == "old"


def test_interrupted_pipe_leaves_no_file(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """Ctrl-C while the program before the pipe still writes: the command ends, and says that nothing continues."""
    with subprocess.Popen(
        [sys.executable, "-c", f"{INTERRUPTIBLE}\n{RUN}", "put", "-", name],
        cwd=ferry.folder,
        env=ferry.environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(random_bytes(9 * MIB))
        process.stdin.flush()
        wait_for_request(proxy, "/uploads/", method="PATCH")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        assert process.stderr is not None
        assert process.stderr.read().decode() == (
            "ferry: stopped. The upload of standard input does not continue; --spool-input makes it resumable.\n"
        )
    assert process.returncode == 130
    assert ferry.run("stat", name).code == 3
    (upload,) = [line for line in ferry.run("status", "--json").lines if line["filename"] == name]
    assert upload["size"] is None
    assert name in ferry.run("status").out
    assert ferry.run("cancel", name, "--id", upload["upload_id"]).code == 0
    assert name not in ferry.run("status").out
