"""`python -m dev.local` on a terminal: what it prints, how Ctrl-C ends it, and how it begins anew."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from dev.local.client import FerryClient, expect, fetch
from dev.local.launcher import find_processes
from dev.paths import ROOT

FILE_NAME = "holiday-film-of-2026.bin"
TIMEOUT_SECONDS = 60.0
CTRL_C = b"\x03"
# The command becomes the leader of the terminal's session, so that the terminal sends it SIGINT at Ctrl-C.
BECOME_FOREGROUND = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A local service on a pseudo-terminal."""

    def __init__(self, *options: str) -> None:
        self._master, slave = os.openpty()
        service = [sys.executable, "-m", "dev.local", *options]
        self._process = subprocess.Popen(
            [sys.executable, "-c", BECOME_FOREGROUND, *service],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "QUIET": "", "CLEAN": ""},
        )
        os.close(slave)
        self.output = ""

    def read_until(self, text: str) -> None:
        """Read the terminal's output until it has a text."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            self._read()

    def press_ctrl_c(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        os.write(self._master, CTRL_C)
        while self._read():
            pass
        return self._process.wait(TIMEOUT_SECONDS)

    def _read(self) -> bool:
        """Read once. Return False when the program has closed the terminal."""
        if not select.select([self._master], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            return False
        self.output += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def close(self) -> None:
        """Kill the program if it still runs."""
        self._process.kill()
        self._process.wait()
        os.close(self._master)


def test_terminal_session_from_start_to_ctrl_c(tmp_path: Path) -> None:
    """The service steps aside from a taken port, logs requests without names or secrets, and stops at one Ctrl-C."""
    state = tmp_path / "state"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        terminal = Terminal("--state", str(state), "--port", str(port))
        try:
            terminal.read_until("Ctrl-C stops")
            connection_info = json.loads((state / "ferry.json").read_text(encoding="utf-8"))
            client = connection_info["clients"][0]
            api = FerryClient(connection_info["base_url"]).authenticate(client["client_id"], client["client_secret"])
            expect(api.start(FILE_NAME, 5), 201, "start")
            expect(api.send_chunk(FILE_NAME, 1, b"bytes"), 200, "chunk")
            expect(api.complete(FILE_NAME), 200, "complete")
            expect(api.download(FILE_NAME), 200, "download")
            assert fetch("GET", f"{connection_info['base_url']}/{FILE_NAME}").status == 404
            terminal.read_until("(no such route)")
            assert (state / "sam-env.json").exists()
            assert terminal.press_ctrl_c() == 0
        finally:
            terminal.close()
    output = terminal.output
    assert re.search(
        rf"^ready http://127\.0\.0\.1:\d+ \(port {port} is taken; choose another with PORT=\)", output, re.MULTILINE
    )
    assert re.search(r"^\d\d:\d\d:\d\d 200 GET    /download/\{filename\+\} +\d+ ms$", output, re.MULTILINE)
    assert output.rstrip().endswith(f"stopped; files and open uploads are in {state}")
    assert "Traceback" not in output
    for secret in (FILE_NAME, api.token, *(entry["client_secret"] for entry in connection_info["clients"])):
        assert secret not in output
    assert find_processes(state) == []
    assert not (state / "sam-env.json").exists()


def test_clean_start_prints_first_command_that_works(tmp_path: Path) -> None:
    """--clean deletes a damaged state and says so. The printed commands list client demo's files."""
    state = tmp_path / "my state"
    state.mkdir()
    (state / "backends.json").write_text("damaged", encoding="utf-8")
    terminal = Terminal("--state", str(state), "--port", "3000", "--clean")
    try:
        terminal.read_until("Ctrl-C stops")
        assert terminal.output.startswith(f"deleting {state}: files, uploads, clients, keys and logs\n")
        lines = terminal.output.splitlines()
        first = next(index for index, line in enumerate(lines) if line.startswith("  TOKEN="))
        script = "\n".join(lines[first : first + 3])
        pasted = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(pasted.stdout) == {"files": [], "prefixes": []}
        assert terminal.press_ctrl_c() == 0
    finally:
        terminal.close()


def test_stop_during_start_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C before the ready line ends every process that was started, without a traceback."""
    state = tmp_path / "state"
    terminal = Terminal("--state", str(state), "--port", "3000")
    try:
        terminal.read_until("starting S3")
        assert terminal.press_ctrl_c() == 0
    finally:
        terminal.close()
    assert "Traceback" not in terminal.output
    assert find_processes(state) == []
