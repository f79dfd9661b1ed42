"""Work out where growth meets its first limit: `python -m dev.bench.growth [--write]`.

Calls and units are counted on emulators, write units by DynamoDB partition key too. Rates are arithmetic on them and on
AWS's published defaults. Nothing here was measured on AWS.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

from moto import mock_aws

from dev.bench.errors import BenchError
from dev.bench.usage import NAME, NS, TINY_BYTES, UsageMeter, UsageRun, tiny_sizes
from dev.figures import write_figures
from dev.paths import ROOT
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from dev.testing.template import create_table
from ferry.aws.session import AwsSession
from ferry.files.delete_many import DeleteEntry, delete_files
from ferry.rules.durations import DAY_MS
from ferry.rules.layout import MIB, ChunkLayout

PAGE = ROOT / "docs" / "growth.md"
CHUNK_BYTES = 4 * MIB
CHUNK_SECONDS = 0.25
"""Assumed time of a chunk from one sender, its way to the API included."""

S3_CALL_MS, DYNAMODB_CALL_MS = 25, 4
"""The model of AWS's delays (`dev.network.aws`), for calls of the cleanup, which follow one another."""

NAMES, UPLOAD = "N#", "U#"
"""Partition keys: of a namespace's names, and of one upload."""

PARTITION_WRITE_UNITS = 1_000
LIMITS = {
    "Ferry's rate limit of a route (`DefaultRateLimit`)": ("chunks", 2_000),
    "Lambda's concurrent executions": ("executions", 1_000),
    "S3's writes for a prefix that is not split yet": ("s3_calls", 3_500),
    "API Gateway's requests a second": ("chunks", 10_000),
    "DynamoDB's write units of a table": ("write_units", 40_000),
}
"""Defaults of AWS, and the rate that meets each."""

UPLOADS_AT_ONCE = (1, 10, 100, 500, 1_000, 2_500, 10_000)


@dataclass(frozen=True, slots=True)
class Work:
    """What one operation costs the backends."""

    write_units: dict[str, int]
    """Write units by kind of partition key."""
    s3_calls: int
    """S3 calls."""
    dynamodb_calls: int
    """DynamoDB calls."""

    def minus(self, other: Work) -> Work:
        """Return the rest without the work of another operation."""
        units = {kind: count - other.write_units.get(kind, 0) for kind, count in self.write_units.items()}
        return Work(units, self.s3_calls - other.s3_calls, self.dynamodb_calls - other.dynamodb_calls)

    @property
    def seconds(self) -> float:
        """Time of the calls, one after another."""
        return (self.s3_calls * S3_CALL_MS + self.dynamodb_calls * DYNAMODB_CALL_MS) / 1000


class PartitionMeter(UsageMeter):
    """Counts write units by the kind of their partition key."""

    def __init__(self, client: Any, table: str) -> None:
        super().__init__(client, table)
        self.by_kind: Counter[str] = Counter()

    def _count_writes(self, keys: list[tuple[Any, Any]], factor: int) -> None:
        for key in keys:
            before = self.write_units
            super()._count_writes([key], factor)
            self.by_kind[str(key[0]).partition("#")[0] + "#"] += self.write_units - before


class CountedService:
    """Services over counting backends."""

    def __init__(self, table: str) -> None:
        client = AwsSession({}).dynamodb
        create_table(client, "MetadataTable", table)
        self.meter = PartitionMeter(client, table)
        self.run = UsageRun(self.meter)

    def work_of(self, action: Callable[[], object]) -> Work:
        """Do something, and return what it cost."""
        units, s3_calls = Counter(self.meter.by_kind), len(self.run.call_log.methods)
        dynamodb_calls, presigned = self.meter.calls.total(), self.run.presigned_puts
        action()
        return Work(
            {kind: count - units[kind] for kind, count in sorted(self.meter.by_kind.items()) if count > units[kind]},
            len(self.run.call_log.methods) - s3_calls + self.run.presigned_puts - presigned,
            self.meter.calls.total() - dynamodb_calls,
        )

    def upload(self, pieces: int, *, presigned: bool) -> None:
        """Upload a file of so many chunks or parts, without the cleanup after it."""
        self.run.upload(ChunkLayout.plan(pieces * TINY_BYTES, TINY_BYTES), presigned=presigned)

    def delete(self) -> None:
        """Delete the file."""
        delete_files(self.run.services, NS, [DeleteEntry(NAME)])

    def end_deleted(self) -> None:
        """Run the cleanup when the deleted file can no longer be restored."""
        self.run.clock.advance(3 * DAY_MS)
        self.run.run_cleanup()


def count() -> dict[str, Work]:
    """Return the work of each operation, counted."""
    found: dict[str, Work] = {}
    with patch.dict(os.environ, DUMMY_ENVIRONMENT), mock_aws(), tiny_sizes(chunks_per_part=2):
        whole, small, large = (CountedService(table) for table in ("whole", "small", "large"))
        found["PUT of a new name"] = whole.work_of(whole.run.put)
        found["PUT of a name that has a file"] = whole.work_of(whole.run.put)
        found["upload of 4 chunks"] = small.work_of(lambda: small.upload(4, presigned=False))
        found["upload of 24 chunks"] = large.work_of(lambda: large.upload(24, presigned=False))
        found["deletion"] = whole.work_of(whole.delete)
        upload, idle = (small.work_of(small.run.run_cleanup) for _ in range(2))
        found["cleanup after an upload"] = upload.minus(idle)
        small.delete()
        deletion, idle = (small.work_of(small.end_deleted) for _ in range(2))
        found["cleanup after a deletion"] = deletion.minus(idle)
    return found


def chunk_work(counted: dict[str, Work]) -> dict[str, float]:
    """Return the write units and S3 calls of one more chunk from one sender."""
    few, many = counted["upload of 4 chunks"], counted["upload of 24 chunks"]
    units = (sum(many.write_units.values()) - sum(few.write_units.values())) / 20
    return {"write_units": units, "s3_calls": (many.s3_calls - few.s3_calls) / 20}


def rates(uploads: int, chunk: dict[str, float]) -> dict[str, float]:
    """Return what so many uploads at once, one sender each, ask for in a second."""
    chunks = uploads / CHUNK_SECONDS
    return {
        "chunks": chunks,
        "gb": chunks * CHUNK_BYTES / 1e9,
        "executions": uploads,
        "s3_calls": chunks * chunk["s3_calls"],
        "write_units": chunks * chunk["write_units"],
    }


def first_uploads(chunk: dict[str, float]) -> dict[str, int]:
    """Return how many uploads at once meet each limit, the first limit first."""
    one = rates(1, chunk)
    found = {name: math.ceil(limit / one[kind]) for name, (kind, limit) in LIMITS.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def figures() -> dict[str, Any]:
    """Return everything that the page's tables show."""
    counted = count()
    chunk = chunk_work(counted)
    return {
        "assumed_chunk_seconds": CHUNK_SECONDS,
        "work": {
            name: {
                "write_units": work.write_units,
                "s3_calls": work.s3_calls,
                "dynamodb_calls": work.dynamodb_calls,
                "seconds_of_calls": round(work.seconds, 3),
            }
            for name, work in counted.items()
        },
        "chunk": chunk,
        "rates": {str(uploads): rates(uploads, chunk) for uploads in UPLOADS_AT_ONCE},
        "first_uploads": first_uploads(chunk),
    }


def format_rates(found: dict[str, Any]) -> str:
    """Return the rates of uploads at once, and where each limit is met, as Markdown tables."""
    lines = [
        "| uploads at once | GB/s | chunk requests/s | concurrent executions | S3 writes/s | DynamoDB write units/s |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for uploads, each in found["rates"].items():
        numbers = (each[kind] for kind in ("chunks", "executions", "s3_calls", "write_units"))
        lines.append(f"| {int(uploads):,} | {each['gb']:,.2f} | {' | '.join(f'{number:,.0f}' for number in numbers)} |")
    lines += ["", "| limit | default | met at this many uploads |", "|---|--:|--:|"]
    lines += [f"| {name} | {LIMITS[name][1]:,} | {uploads:,} |" for name, uploads in found["first_uploads"].items()]
    return "\n".join(lines)


def format_work(found: dict[str, Any]) -> str:
    """Return the work of each operation as a Markdown table, with the rates that it allows."""
    columns = ("operation", "write units in the namespace's partition", "elsewhere", "S3 calls", "DynamoDB calls")
    lines = [f"| {' | '.join(columns)} | a second in one namespace |", "|---|--:|--:|--:|--:|--:|"]
    for name, work in found["work"].items():
        if name.startswith("cleanup") or name == "upload of 24 chunks":
            continue
        hot = work["write_units"].get(NAMES, 0)
        rest = sum(work["write_units"].values()) - hot
        allowed = f"{PARTITION_WRITE_UNITS // hot:,}" if hot else "–"
        lines.append(f"| {name} | {hot} | {rest} | {work['s3_calls']} | {work['dynamodb_calls']} | {allowed} |")
    return "\n".join(lines)


def format_cleanup(found: dict[str, Any]) -> str:
    """Return the cleanup's work as a Markdown table, with the tasks that one run after another ends in a day."""
    lines = ["| task | S3 calls | DynamoDB calls | seconds | tasks a day |", "|---|--:|--:|--:|--:|"]
    for name, work in found["work"].items():
        if name.startswith("cleanup"):
            seconds = work["seconds_of_calls"]
            calls = f"{work['s3_calls']} | {work['dynamodb_calls']}"
            lines.append(f"| {name} | {calls} | {seconds:.2f} | {86_400 / seconds:,.0f} |")
    return "\n".join(lines)


TABLES = {"rates": format_rates, "work": format_work, "cleanup": format_cleanup}


def _section(name: str, table: str, _: re.Match[str]) -> str:
    return f"<!-- {name} -->\n{table}\n<!-- /{name} -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables. With `--write`, write the figures and the page's tables too."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.growth", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--write", action="store_true", help="write docs/figures/growth.json and the tables of the page"
    )
    options = parser.parse_args(arguments)
    found = figures()
    page = PAGE.read_text(encoding="utf-8")
    for name, show in TABLES.items():
        table = show(found)
        print(f"{table}\n")
        page, replaced = re.subn(
            f"<!-- {name} -->.*?<!-- /{name} -->",
            partial(_section, name, table),
            page,
            flags=re.DOTALL,
        )
        if options.write and replaced != 1:
            raise BenchError(f"{PAGE.relative_to(ROOT)} must contain <!-- {name} --> … <!-- /{name} --> once")
    if options.write:
        write_figures("growth", "python -m dev.bench.growth --write", found)
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
