"""Draw the pictures of docs/client.md from real runs of `ferry`: `python -m dev.site.client_pictures`.

Each command runs in a terminal of 80 columns against a local service. What the terminal shows becomes an SVG.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dev.local.launcher import LocalService
from dev.paths import ROOT

COLUMNS = 80
MAX_SECONDS = 120.0
"""How long a command may take until its picture is taken."""

HALF_WAY = r"[45]\d[^\d%]* %.*MiB/s"
"""A row of a transfer of which half is done, with its rate."""

_CONTROL = re.compile(r"\x1b\[(\d*)(?:;\d+)*([AK])|\x1b\[\?25[lh]|\r|\n")


class Screen:
    """What a terminal shows: enough of one for the control sequences that rich sends."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def feed(self, text: str) -> None:
        """Take output of a program."""
        position = 0
        for match in _CONTROL.finditer(text):
            self.lines[self._row] += text[position : match.start()]
            position = match.end()
            if match[0] == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif match[2] == "A":
                self._row = max(0, self._row - int(match[1] or 1))
            elif match[2] == "K":
                self.lines[self._row] = ""
        self.lines[self._row] += text[position:]


class Terminal:
    """Runs commands in a folder, and collects what they show."""

    def __init__(self, service: LocalService, folder: Path) -> None:
        client = service.connection_info["clients"][0]
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "client" / "src"),
            "TERM": "xterm-256color",
            "FERRY_URL": service.connection_info["base_url"],
            "FERRY_CLIENT_ID": client["client_id"],
            "FERRY_CLIENT_SECRET": client["client_secret"],
            "FERRY_STATE_DIR": str(folder / ".state"),
            "FERRY_CONFIG_DIR": str(folder / ".config"),
        }

    def run(self, shown: str, *options: str, until: str | None = None, stop: int | None = None) -> list[str]:
        """Run `shown` with further options, and return the lines on the screen.

        Args:
            shown: the command line as a person types it.
            options: what the picture does not show, such as a rate limit.
            until: take the screen when a line of it matches this pattern; None: at the end.
            stop: the signal to send at that time; None kills the program after the screen was taken.
        """
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        program = "from ferry_client.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", program, *shown.split()[1:], *options],
            cwd=self._folder,
            env=self._environment,
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        output, deadline = b"", time.monotonic() + MAX_SECONDS
        while time.monotonic() < deadline and not (until and re.search(until, "\n".join(_screen(output)))):
            if not select.select([leader], [], [], 0.1)[0]:
                continue
            try:
                output += os.read(leader, 65536)
            except OSError:
                break
        if stop is not None:
            process.send_signal(stop)
            output += _rest(leader)
        elif until is not None:
            process.kill()
        process.wait()
        os.close(leader)
        return [f"$ {shown}", *_screen(output)]


def _screen(output: bytes) -> list[str]:
    """Return the lines that a terminal shows after this output."""
    screen = Screen()
    screen.feed(output.decode(errors="replace"))
    return [line for line in screen.lines if line.strip()]


def _rest(leader: int) -> bytes:
    rest = b""
    while True:
        try:
            rest += os.read(leader, 65536)
        except OSError:
            return rest


def draw(name: str, lines: list[str]) -> None:
    """Write docs/assets/client-NAME.svg."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line))
    # The fonts that rich names come from another server; those of the reader do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="ferry"), flags=re.DOTALL)
    (ROOT / "docs" / "assets" / f"client-{name}.svg").write_text(svg, encoding="utf-8")
    print(f"docs/assets/client-{name}.svg")


def main() -> None:
    """Draw all pictures."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A job in the background ignores it, and so do commands.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "work"
        folder.mkdir()
        service = LocalService(Path(temporary) / "state")
        try:
            terminal = Terminal(service, folder)
            (folder / "video.mp4").write_bytes(os.urandom(96 * 1024 * 1024))
            for name, folder_name, size in (
                *((f"{number}.jpg", "photos", 300_000) for number in range(6)),
                *((f"take-{number}.mov", "footage", 24_000_000 * number) for number in range(1, 4)),
            ):
                (folder / folder_name).mkdir(exist_ok=True)
                (folder / folder_name / name).write_bytes(os.urandom(size))
            limit = ("--limit-rate", "6M", "--no-direct")
            draw("put", terminal.run("ferry put footage backup/", *limit, until=HALF_WAY))
            # Few requests at once: the screen is taken at a percentage, which more chunks together would skip.
            single = (*limit, "--jobs", "3")
            stopped = terminal.run("ferry put video.mp4 videos/", *single, until=r"[23]\d[^\d%]* %", stop=signal.SIGINT)
            draw("resume", [*stopped, *terminal.run("ferry put video.mp4 videos/", *single, until=HALF_WAY)])
            terminal.run("ferry sync photos/ backup/photos/")
            (folder / "photos" / "1.jpg").rename(folder / "photos" / "first.jpg")
            (folder / "photos" / "2.jpg").write_bytes(b"edited")
            (folder / "photos" / "3.jpg").unlink()
            lines = [terminal.run("ferry sync photos/ backup/photos/ --delete", *more) for more in (("--dry-run",), ())]
            lines[0][0] += " --dry-run"
            draw("sync", [*lines[0], *lines[1]])
            draw("doctor", terminal.run("ferry doctor"))
        finally:
            service.stop()


if __name__ == "__main__":
    main()
