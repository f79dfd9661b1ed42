"""Measured figures, committed as `docs/figures/NAME.json` and cited by the documents.

Each file holds the command that measured, the commit it measured, the machine, the date and the figures. This module
is the only writer.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.paths import ROOT

FIGURES_FOLDER = ROOT / "docs" / "figures"
UNCOMMITTED_SUFFIX = "+uncommitted"
"""Follows the commit's hash if tracked files differed from it."""


def write_figures(name: str, command: str, figures: Any) -> Path:
    """Write `docs/figures/NAME.json` and return its path.

    Args:
        name: the file's name without its suffix, the NAME of `make prove-NAME`.
        command: the command line that measures the figures again.
        figures: what was measured, as JSON values.
    """
    content = {
        "command": command,
        "commit": describe_commit(),
        "machine": describe_machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "figures": figures,
    }
    FIGURES_FOLDER.mkdir(parents=True, exist_ok=True)
    path = figures_path(name)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_figures(name: str) -> Any:
    """Return the figures of `docs/figures/NAME.json`. Raises `FileNotFoundError`."""
    return json.loads(figures_path(name).read_text(encoding="utf-8"))["figures"]


def figures_path(name: str) -> Path:
    return FIGURES_FOLDER / f"{name}.json"


def describe_commit() -> str:
    """Return the hash of the checked-out commit; `unknown` outside a git repository.

    Documents and figures that differ from it do not count: several commands write them one after another.
    """
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
    return commit + (UNCOMMITTED_SUFFIX if changed else "")


def describe_machine() -> dict[str, Any]:
    """Return the operating system, the processor, its cores and the memory (GiB)."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes / 1024**3, 1),
        "python": platform.python_version(),
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _git(*arguments: str) -> str | None:
    try:
        completed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return completed.stdout.strip() if completed.returncode == 0 else None
