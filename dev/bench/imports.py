"""List what the first request of each function imports, by package: modules, and their share of the import time.

python -m dev.bench.imports            writes docs/performance/imports.md (make layer first)
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.bench import service, setup
from dev.bench.cold import BARE_FUNCTION, function_subjects, reference_subjects
from dev.bench.errors import BenchError
from dev.local.errors import LocalError
from dev.paths import ROOT

PAGE = ROOT / "docs" / "performance" / "imports.md"
PAGE_TEMPLATE = Path(__file__).with_name("imports.md.in")

STANDARD_LIBRARY = "standard library"
REASONS: Mapping[str, str] = {
    "aws_lambda_powertools": "log lines of warnings, errors and audit events",
    "awslambdaric": "Lambda's runtime client",
    "botocore": "calls AWS",
    "boto3": "the reference alone: Ferry uses botocore's session",
    "cffi": "with cryptography",
    "cryptography": "verifies signatures of tokens",
    "dateutil": "with botocore: times in responses",
    "ferry": "the service",
    "google_crc32c": "CRC32C of what is stored",
    "jmespath": "with botocore",
    "jwt": "reads tokens",
    "pybase64": "decodes bodies of 16 KiB and more",
    "pydantic_core": "validates JSON bodies",
    "s3transfer": "the reference alone, with boto3",
    "simplejson": "with Lambda's runtime client",
    "six": "with dateutil",
    "snapshot_restore_py": "SnapStart's hooks, with Lambda's runtime client",
    STANDARD_LIBRARY: "Python, what the others use of it included",
    "typing_extensions": "with jwt and pydantic_core",
    "urllib3": "with botocore: HTTP",
    "wrapt": "with Powertools",
}
"""Why each package is imported. A package that is not here fails the run: every import is accounted for."""

_LINE = re.compile(r"^import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Imports:
    """What one process has imported up to its first response."""

    modules: Counter[str]
    """Modules by package."""
    microseconds: Counter[str]
    """Time of these imports themselves, by package. Measuring makes it about twice as long."""

    @classmethod
    def from_log(cls, log: str) -> Imports:
        """Return the imports of the lines that PYTHONPROFILEIMPORTTIME writes."""
        modules: Counter[str] = Counter()
        microseconds: Counter[str] = Counter()
        for spent, name in _LINE.findall(log):
            package = package_of(name)
            modules[package] += 1
            microseconds[package] += int(spent)
        return cls(modules, microseconds)

    def percent(self, package: str) -> float:
        return 100 * self.microseconds[package] / self.microseconds.total()


def package_of(module: str) -> str:
    """Return the package of a module: its first name, or that of the standard library."""
    name = module.partition(".")[0]
    if name in ("app", "ferry"):
        return "ferry"
    if name.startswith("_cffi"):
        return "cffi"
    return STANDARD_LIBRARY if name in sys.stdlib_module_names or name not in REASONS else name


def format_table(imports: Mapping[str, Imports]) -> str:
    """Return the Markdown table: a row for each package, a column for each process."""
    packages = sorted(
        {package for each in imports.values() for package in each.modules},
        key=lambda package: -max(each.microseconds[package] for each in imports.values()),
    )
    lines = [f"| package | {' | '.join(imports)} | why |", f"|---|{'--:|' * len(imports)}---|"]
    for package in packages:
        cells = [
            f"{each.modules[package]} ({each.percent(package):.0f}%)" if each.modules[package] else "–"
            for each in imports.values()
        ]
        lines.append(f"| {package} | {' | '.join(cells)} | {REASONS[package]} |")
    totals = " | ".join(f"**{each.modules.total()}**" for each in imports.values())
    return "\n".join([*lines, f"| **all** | {totals} | |"])


def measure() -> dict[str, Imports]:
    """Return the imports of each function's first request, and of the bare function. Raises `BenchError`."""
    python = setup.find_python()
    setup.install()
    found: dict[str, Imports] = {}
    with service.running_service("--instances", "2") as running, tempfile.TemporaryDirectory() as copies:
        subjects = [*reference_subjects(python), *function_subjects(running, python, Path(copies))]
        for subject in subjects:
            if subject.name == BARE_FUNCTION or subject not in subjects[:2]:
                subject.subject.start({})  # fills the system's caches
                found[subject.name] = Imports.from_log(subject.subject.start({"PYTHONPROFILEIMPORTTIME": "1"}).output)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the page was written, 1 otherwise."""
    del arguments
    try:
        table = format_table(measure())
    except (BenchError, LocalError) as error:
        print(f"imports: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(PAGE_TEMPLATE.read_text(encoding="utf-8").replace("@TABLE@", table), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
