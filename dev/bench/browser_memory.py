"""Read the memory of a browser's processes, by what they do. Linux only."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Set as AbstractSet
from pathlib import Path

MAIN_PROCESS = "browser"
"""The kind of the process that starts the others."""
_KIND = re.compile(rb"--(?:utility-sub-)?type=([\w.-]+)")
_KIBIBYTE = 1024


def main_processes(profile: Path) -> list[int]:
    """Return the processes whose command line names the profile."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"--user-data-dir={profile}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def all_processes(profile: Path) -> AbstractSet[int]:
    """Return the processes of the browser with this profile, and their descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    family = set(main_processes(profile))
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def memory_by_kind(profile: Path) -> Counter[str]:
    """Return the bytes in memory by kind of process, with shared pages counted once (PSS).

    Pages of mapped files, such as the program itself, do not count: other browsers on the machine share them.
    """
    total: Counter[str] = Counter()
    for pid in all_processes(profile):
        with contextlib.suppress(OSError):
            kinds = _KIND.findall(Path(f"/proc/{pid}/cmdline").read_bytes())
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            pss = sum(int(line.split()[1]) for line in rollup if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
            total[kinds[-1].decode() if kinds else MAIN_PROCESS] += pss * _KIBIBYTE
    return total
