"""Audit the lock files: `python -m dev.dependency_audit`.

Check that every pin has a hash. Print the age of each lock, the age of each pin that ships if the package index
reports it, and known vulnerabilities if `pip-audit` is installed. A missing program is reported with the command to run
elsewhere.
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
from functools import cache
from typing import Any

from dev.paths import ROOT

RUNTIME_LOCK = "layers/common/requirements.txt"
LOCKS = (
    RUNTIME_LOCK,
    *(f"requirements/{name}.txt" for name in ("dev", "run", "bench", "docs", "checkov", "localstack", "awscli")),
)
PIN_PATTERN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^]]*])?==(?P<version>[^\s;]+)", re.MULTILINE)
HASH_PATTERN = re.compile(r"--hash=sha256:[0-9a-f]{64}")
SIMPLE_API_TYPE = "application/vnd.pypi.simple.v1+json"
DEFAULT_INDEX_SCRIPT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
"""Prints the index that pip uses without configuration."""
MAX_AGE_DAYS = 365
"""A pin that ships is marked as old after this many days."""


def iter_pins(lock: str) -> Iterator[tuple[str, str, int]]:
    """Yield the name, the version and the number of hashes of every pin of a lock."""
    pins = list(PIN_PATTERN.finditer(lock))
    ends = [*(pin.start() for pin in pins[1:]), len(lock)]
    for pin, end in zip(pins, ends, strict=True):
        yield pin["name"], pin["version"], len(HASH_PATTERN.findall(lock[pin.start() : end]))


def first_upload_time(files: Sequence[Mapping[str, Any]], version: str) -> datetime | None:
    """Return when the version's first file was uploaded, from an index's project page (PEP 700); None if unknown."""
    times = [
        datetime.fromisoformat(file["upload-time"])
        for file in files
        if file.get("upload-time") and re.search(rf"-{re.escape(version)}(?:-|\.tar\.gz|\.zip)", file["filename"])
    ]
    return min(times, default=None)


def _project_files(name: str) -> list[Mapping[str, Any]]:
    """Return a project's files from pip's index; empty if it does not respond with JSON."""
    request = urllib.request.Request(f"{_index()}/{name}/", headers={"Accept": SIMPLE_API_TYPE})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            page = json.load(response)
    except (OSError, ValueError, urllib.error.URLError):
        return []
    return list(page.get("files", [])) if isinstance(page, dict) else []


@cache
def _index() -> str:
    """Return the index that pip is configured for. Cached, because each question starts a process."""
    configured = _command_output(sys.executable, "-m", "pip", "config", "get", "global.index-url")
    return (configured or _command_output(sys.executable, "-c", DEFAULT_INDEX_SCRIPT)).rstrip("/")


def _command_output(*command: str) -> str:
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.stdout.strip() if completed.returncode == 0 else ""


def _format_age(time: datetime, now: datetime) -> str:
    return f"{(now - time).days} days"


def _check_locks(now: datetime) -> int:
    """Print each lock and its pins without a hash. Return the number of these pins."""
    failed = 0
    for lock in LOCKS:
        pins = list(iter_pins((ROOT / lock).read_text(encoding="utf-8")))
        unhashed = [f"{name}=={version}" for name, version, hashes in pins if not hashes]
        changed = _command_output("git", "log", "-1", "--format=%cI", "--", lock)
        age = (
            f"changed {_format_age(datetime.fromisoformat(changed), now)} ago ({changed[:10]})"
            if changed
            else "age unknown"
        )
        print(f"{lock}: {len(pins)} pins, {len(unhashed)} without a hash, {age}")
        failed += len(unhashed)
        for pin in unhashed:
            print(f"  {pin} HAS NO HASH")
    return failed


def _report_runtime_pins(now: datetime) -> None:
    print(f"\npins that ship ({RUNTIME_LOCK}):")
    for name, version, _ in iter_pins((ROOT / RUNTIME_LOCK).read_text(encoding="utf-8")):
        uploaded_at = first_upload_time(_project_files(name), version)
        age = "age unknown to the index" if uploaded_at is None else f"published {_format_age(uploaded_at, now)} ago"
        old = "  OLD" if uploaded_at is not None and (now - uploaded_at).days > MAX_AGE_DAYS else ""
        print(f"  {name}=={version}: {age}{old}")


def _check_vulnerabilities() -> int:
    print("\nknown vulnerabilities:")
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "-r", RUNTIME_LOCK]
    try:
        completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        print("  not checked: pip-audit is not installed. On a machine with network access run:")
        print(f"  pipx run {' '.join(command)}")
        return 0
    print(completed.stdout + completed.stderr)
    return completed.returncode


def main() -> int:
    """Return 0 if every pin has a hash and no vulnerability is known, 1 otherwise."""
    now = datetime.now(UTC)
    failed = _check_locks(now)
    _report_runtime_pins(now)
    return 1 if _check_vulnerabilities() or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
