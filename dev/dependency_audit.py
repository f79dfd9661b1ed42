"""How trustworthy the pins are, as far as this machine can tell: `python -m dev.dependency_audit`.

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
from typing import Any

from dev.paths import ROOT

RUNTIME_LOCK = "layers/common/requirements.txt"
LOCKS = (RUNTIME_LOCK, *(f"requirements/{of}.txt" for of in ("dev", "bench", "docs", "checkov", "localstack")))
PIN_PATTERN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^]]*])?==(?P<version>[^\s;]+)", re.MULTILINE)
HASH_PATTERN = re.compile(r"--hash=sha256:[0-9a-f]{64}")
SIMPLE_API_TYPE = "application/vnd.pypi.simple.v1+json"
DEFAULT_INDEX_SCRIPT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""Where pip looks when nobody has told it: only it knows."""
MAX_AGE_DAYS = 365
"""Days after which a pin that ships is called old."""


def iter_pins(lock: str) -> Iterator[tuple[str, str, int]]:
    """Every pin of a lock: its name, its version, and how many hashes it has."""
    found = list(PIN_PATTERN.finditer(lock))
    for pin, following in zip(found, [*(match.start() for match in found[1:]), len(lock)], strict=True):
        yield pin["name"], pin["version"], len(HASH_PATTERN.findall(lock[pin.start() : following]))


def first_upload_time(files: Sequence[Mapping[str, Any]], version: str) -> datetime | None:
    """When an index got the first file of the version, by its project page (PEP 700); None when it does not tell."""
    times = [
        datetime.fromisoformat(file["upload-time"])
        for file in files
        if file.get("upload-time") and re.search(rf"-{re.escape(version)}(?:-|\.tar\.gz|\.zip)", file["filename"])
    ]
    return min(times, default=None)


def _project_files(name: str) -> list[Mapping[str, Any]]:
    """The files of a project, by the index that pip is set up for; none when it does not answer, or not so."""
    configured = _command_output(sys.executable, "-m", "pip", "config", "get", "global.index-url")
    index = configured or _command_output(sys.executable, "-c", DEFAULT_INDEX_SCRIPT)
    request = urllib.request.Request(f"{index.rstrip('/')}/{name}/", headers={"Accept": SIMPLE_API_TYPE})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            page = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return []
    return list(page.get("files", [])) if isinstance(page, dict) else []


def _command_output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _format_age(time: datetime, now: datetime) -> str:
    return f"{(now - time).days} days"


def _check_locks(now: datetime) -> int:
    failed = 0
    for lock in LOCKS:
        pins = list(iter_pins((ROOT / lock).read_text(encoding="utf-8")))
        bare = [f"{name}=={version}" for name, version, hashes in pins if not hashes]
        changed = _command_output("git", "log", "-1", "--format=%cI", "--", lock)
        age = (
            f"changed {_format_age(datetime.fromisoformat(changed), now)} ago ({changed[:10]})"
            if changed
            else "age unknown"
        )
        print(f"{lock}: {len(pins)} pins, {len(bare)} without a hash, {age}")
        failed += len(bare)
        for pin in bare:
            print(f"  {pin} HAS NO HASH")
    return failed


def _report_runtime_pins(now: datetime) -> None:
    print(f"\nwhat ships ({RUNTIME_LOCK}):")
    for name, version, _ in iter_pins((ROOT / RUNTIME_LOCK).read_text(encoding="utf-8")):
        moment = first_upload_time(_project_files(name), version)
        age = "the index does not tell its age" if moment is None else f"published {_format_age(moment, now)} ago"
        old = "  OLD" if moment is not None and (now - moment).days > MAX_AGE_DAYS else ""
        print(f"  {name}=={version}: {age}{old}")


def _check_vulnerabilities() -> int:
    print("\nknown vulnerabilities:")
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "-r", RUNTIME_LOCK]
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
    failed = _check_locks(now)
    _report_runtime_pins(now)
    return 1 if _check_vulnerabilities() or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
