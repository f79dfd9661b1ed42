"""How trustworthy the pins are, as far as this machine can tell: `python -m tools.audit`.

Every pin has hashes; how old each lock is; how old each pin that ships is, where an index answers; and known
vulnerabilities, where `pip-audit` is installed. What cannot be told here is said, with what tells it elsewhere.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPS = "layers/common/requirements.txt"
LOCKS = (SHIPS, *(f"requirements-{of}.txt" for of in ("dev", "bench", "checkov", "localstack")))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^]]*])?==(?P<version>[^\s;]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
SIMPLE = "application/vnd.pypi.simple.v1+json"
DEFAULT_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""Where pip looks when nobody has told it: only it knows."""
OLD = 365
"""Days after which a pin that ships is called old."""


def blocks(lock: str) -> Iterator[tuple[str, str, int]]:
    """Every pin of a lock: its name, its version, and how many hashes it has."""
    found = list(PIN.finditer(lock))
    for pin, following in zip(found, [*(match.start() for match in found[1:]), len(lock)], strict=True):
        yield pin["name"], pin["version"], len(HASH.findall(lock[pin.start() : following]))


def uploaded(files: Sequence[Mapping[str, Any]], version: str) -> datetime | None:
    """When an index got the first file of the version, by its project page (PEP 700); None when it does not tell."""
    times = [
        datetime.fromisoformat(file["upload-time"])
        for file in files
        if file.get("upload-time") and re.search(rf"-{re.escape(version)}(?:-|\.tar\.gz|\.zip)", file["filename"])
    ]
    return min(times, default=None)


def _asked(name: str) -> list[Mapping[str, Any]]:
    """The files of a project, by the index that pip is set up for; none when it does not answer, or not so."""
    configured = _output(sys.executable, "-m", "pip", "config", "get", "global.index-url")
    index = configured or _output(sys.executable, "-c", DEFAULT_INDEX)
    request = urllib.request.Request(f"{index.rstrip('/')}/{name}/", headers={"Accept": SIMPLE})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            page = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return []
    return list(page.get("files", [])) if isinstance(page, dict) else []


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _age(moment: datetime, now: datetime) -> str:
    return f"{(now - moment).days} days"


def _locks(now: datetime) -> int:
    failed = 0
    for lock in LOCKS:
        pins = list(blocks((ROOT / lock).read_text(encoding="utf-8")))
        bare = [f"{name}=={version}" for name, version, hashes in pins if not hashes]
        changed = _output("git", "log", "-1", "--format=%cI", "--", lock)
        age = f"changed {_age(datetime.fromisoformat(changed), now)} ago ({changed[:10]})" if changed else "age unknown"
        print(f"{lock}: {len(pins)} pins, {len(bare)} without a hash, {age}")
        failed += len(bare)
        for pin in bare:
            print(f"  {pin} HAS NO HASH")
    return failed


def _pins_that_ship(now: datetime) -> None:
    print(f"\nwhat ships ({SHIPS}):")
    for name, version, _ in blocks((ROOT / SHIPS).read_text(encoding="utf-8")):
        moment = uploaded(_asked(name), version)
        age = "the index does not tell its age" if moment is None else f"published {_age(moment, now)} ago"
        old = "  OLD" if moment is not None and (now - moment).days > OLD else ""
        print(f"  {name}=={version}: {age}{old}")


def _vulnerabilities() -> int:
    print("\nknown vulnerabilities:")
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "-r", SHIPS]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        print("  not looked for: pip-audit is not installed, and its database is online. With a network:")
        print(f"  pipx run {' '.join(command)}")
        return 0
    print(done.stdout + done.stderr)
    return done.returncode


def main() -> int:
    now = datetime.now(UTC)
    failed = _locks(now)
    _pins_that_ship(now)
    return 1 if _vulnerabilities() or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
