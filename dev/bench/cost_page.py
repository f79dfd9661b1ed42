"""Writes docs/costs.md and its plot: what a TB costs by either path, from counted calls and a table of prices.

python -m dev.bench.cost_page            writes both
python -m dev.bench.cost_page --check    fails when the page is not what the counted calls give
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dev.bench.usage import PRESIGN_BATCH, Usage, measure_usage
from dev.paths import ROOT
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from dev.testing.template import resource_properties
from ferry.rules.layout import GIB, KIB, MIB, ChunkLayout

DOCS = ROOT / "docs"
PAGE = DOCS / "costs.md"
PLOT = DOCS / "costs.svg"
TB = 10**12
TIB = 1024 * GIB
MILLION = 1_000_000


@dataclass(frozen=True)
class Prices:
    """USD, on demand."""

    s3_put: float = 0.005 / 1_000
    s3_get: float = 0.0004 / 1_000
    lambda_request: float = 0.20 / MILLION
    lambda_gb_second: float = 0.0000166667
    dynamodb_write: float = 0.625 / MILLION
    dynamodb_read: float = 0.125 / MILLION
    gateway_step: float = 1.00 / MILLION


PRICES = Prices()
GATEWAY_STEP_BYTES = 512 * KIB
CHUNK_DURATION_SECONDS, OTHER_DURATION_SECONDS = 0.150, 0.050
"""How long a function is taken to run: assumed, for nothing here measures AWS's network."""


@dataclass(frozen=True)
class Cost:
    """USD for one file, by who is paid."""

    s3: float
    dynamodb: float
    gateway: float
    lambda_requests: float
    lambda_duration: float

    @property
    def total(self) -> float:
        return self.s3 + self.dynamodb + self.gateway + self.lambda_requests + self.lambda_duration


@dataclass(frozen=True)
class Scenario:
    """A file of some size, sent by one path."""

    size: int
    chunk_size: int = 4 * MIB
    presigned: bool = False
    json_body: bool = False

    @property
    def layout(self) -> ChunkLayout:
        return ChunkLayout.plan(self.size, self.chunk_size)

    @property
    def usage(self) -> Usage:
        return measure_usage(self.size, self.chunk_size, presigned=self.presigned)

    @property
    def cost(self) -> Cost:
        bill, prices = self.usage, PRICES
        carried = -(-self.chunk_size * 4 // 3) + 100 if self.json_body else self.chunk_size
        steps = max(1, -(-carried // GATEWAY_STEP_BYTES))
        seconds = bill.chunks * CHUNK_DURATION_SECONDS + (bill.requests - bill.chunks) * OTHER_DURATION_SECONDS
        return Cost(
            s3=bill.puts * prices.s3_put + bill.gets * prices.s3_get,
            dynamodb=bill.write_units * prices.dynamodb_write + bill.read_units * prices.dynamodb_read,
            gateway=(bill.requests - bill.chunks + bill.chunks * steps) * prices.gateway_step,
            lambda_requests=bill.requests * prices.lambda_request,
            lambda_duration=seconds * memory_gb() * prices.lambda_gb_second,
        )

    @property
    def usd_per_tb(self) -> float:
        return self.cost.total * TB / self.size


@cache
def memory_gb() -> float:
    """The upload function's memory, as the template has it."""
    return float(resource_properties("UploadFunction")["MemorySize"]) / 1_024


BY_CHUNK_SIZE = [Scenario(64 * MIB, size) for size in (256 * KIB, MIB, 4 * MIB)]
BY_FILE_SIZE = [Scenario(size) for size in (4 * MIB, 64 * MIB, GIB)]
PRESIGNED = [Scenario(size, presigned=True) for size in (16 * MIB, GIB, 80_000 * MIB, 625 * GIB, 5 * TIB)]
TARGET_API_USD, TARGET_PRESIGNED_USD = 3.60, 0.10
API_SCENARIO, PRESIGNED_SCENARIO = Scenario(GIB), Scenario(625 * GIB, presigned=True)

TUS_CALLS_PER_CHUNK = {4 * MIB: 5.5, 8 * MIB: 5.0}
"""S3 calls a chunk of tus-node-server with its s3-store, by chunk size, counted at a gateway."""


def plain_presigned_usd_per_tb(part_size_bytes: int, part_count: int) -> float:
    """USD a TB where a client is given one URL a part by nobody in particular: S3 alone, two calls more a file."""
    return (part_count + 2) * PRICES.s3_put * TB / (part_size_bytes * part_count)


def tus_usd_per_tb(chunk_size_bytes: int) -> tuple[float, float]:
    """USD a TB for S3 alone, if every call were a GET, and if every call were a PUT."""
    calls = TUS_CALLS_PER_CHUNK[chunk_size_bytes] * TB / chunk_size_bytes
    return calls * PRICES.s3_get, calls * PRICES.s3_put


def format_size(size_bytes: int) -> str:
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            value = size_bytes / unit
            return f"{value:.0f} {name}" if value == int(value) else f"{value:.1f} {name}"
    return f"{size_bytes} B"


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_usd(value: float) -> str:
    return f"{value:,.3f}" if value < 1 else f"{value:,.2f}"


def usage_row(name: str, scenario: Scenario) -> list[str]:
    bill = scenario.usage
    return [
        name,
        f"{bill.puts:,}",
        f"{bill.gets:,}",
        f"{bill.dynamodb_calls:,}",
        f"{bill.write_units:,}",
        f"{bill.read_units:,.0f}",
        f"{bill.requests:,}",
    ]


def cost_row(name: str, scenario: Scenario) -> list[str]:
    cost, per_tb = scenario.cost, TB / scenario.size
    parts = (cost.s3, cost.dynamodb, cost.gateway, cost.lambda_requests, cost.lambda_duration)
    return [name, *(format_usd(part * per_tb) for part in parts), f"**{format_usd(scenario.usd_per_tb)}**"]


def target_row(name: str, target_usd: float, scenario: Scenario) -> list[str]:
    found = scenario.usd_per_tb
    return [
        name,
        f"{target_usd:.2f}",
        format_usd(found),
        "met" if found <= target_usd else f"missed by {format_usd(found - target_usd)}",
    ]


def figures_line() -> str:
    """What the plot shows, in one line: it carries it, so that one drawn from other figures is found out."""
    return "USD a TB: " + ", ".join(f"{case.usd_per_tb:.4f}" for case in (*BY_CHUNK_SIZE, *PRESIGNED))


def describe_parts(scenario: Scenario) -> str:
    return f"{format_size(scenario.size)}, {scenario.layout.part_count:,} of {format_size(scenario.layout.part_size)}"


def render_page() -> str:
    api, direct = API_SCENARIO, PRESIGNED_SCENARIO
    more = api.usage.chunks * 0.1 * memory_gb() * PRICES.lambda_gb_second * TB / api.size
    parts = [
        (
            "USAGE",
            format_table(
                ("one file", "S3 PUT class", "S3 GET class", "DynamoDB calls", "write units", "read units", "requests"),
                [
                    usage_row("1 GiB through the API, chunks of 4 MiB", api),
                    usage_row("1 GiB straight to S3, parts of 8 MiB", PRESIGNED[1]),
                    usage_row("625 GiB straight to S3, parts of 64 MiB", direct),
                ],
            ),
        ),
    ]
    columns = ("S3", "DynamoDB", "API Gateway", "Lambda calls", "Lambda time", "USD a TB")
    parts += [
        (
            "TARGETS",
            format_table(
                ("", "goal", "is", ""),
                [
                    target_row("straight to S3, parts of 64 MiB", TARGET_PRESIGNED_USD, direct),
                    target_row("through the API, chunks of 4 MiB", TARGET_API_USD, api),
                ],
            ),
        ),
        (
            "BY_CHUNK",
            format_table(
                ("chunks of, file of 64 MiB", *columns), (cost_row(format_size(c.chunk_size), c) for c in BY_CHUNK_SIZE)
            ),
        ),
        (
            "BY_FILE",
            format_table(("file, chunks of 4 MiB", *columns), (cost_row(format_size(c.size), c) for c in BY_FILE_SIZE)),
        ),
        (
            "IN_JSON",
            format_table(
                ("body of a chunk, 4 MiB, file of 1 GiB", *columns),
                [
                    cost_row("octet-stream", api),
                    cost_row("JSON with base64", Scenario(GIB, json_body=True)),
                ],
            ),
        ),
        ("PRESIGNED", format_table(("file, parts", *columns), (cost_row(describe_parts(c), c) for c in PRESIGNED))),
        (
            "PEERS",
            format_table(
                ("", "S3 calls", "USD a TB, S3 alone"),
                [
                    [
                        "Ferry, parts of 64 MiB straight to S3",
                        f"{direct.usage.puts / direct.layout.part_count:.4f} a part",
                        format_usd(direct.cost.s3 * TB / direct.size),
                    ],
                    [
                        "plain presigned URLs, parts of 64 MiB",
                        "1 a part + 2 a file",
                        format_usd(plain_presigned_usd_per_tb(64 * MIB, 10_000)),
                    ],
                    [
                        "Ferry, chunks of 4 MiB through the API",
                        f"{(api.usage.puts + api.usage.gets) / api.usage.chunks:.2f} a chunk",
                        format_usd(api.cost.s3 * TB / api.size),
                    ],
                    *(
                        [
                            f"tus-node-server with s3-store, chunks of {format_size(size)}",
                            f"{calls} a chunk",
                            f"{format_usd(tus_usd_per_tb(size)[0])} to {format_usd(tus_usd_per_tb(size)[1])}",
                        ]
                        for size, calls in TUS_CALLS_PER_CHUNK.items()
                    ),
                ],
            ),
        ),
        (
            "PRICES",
            format_table(
                ("", "USD"),
                [
                    ["S3, 1,000 PUT, COPY, POST or LIST", f"{PRICES.s3_put * 1_000:.4f}"],
                    ["S3, 1,000 GET and others", f"{PRICES.s3_get * 1_000:.4f}"],
                    ["DynamoDB on demand, a million write units", f"{PRICES.dynamodb_write * MILLION:.3f}"],
                    ["DynamoDB on demand, a million read units", f"{PRICES.dynamodb_read * MILLION:.3f}"],
                    ["HTTP API, a million steps of 512 KiB", f"{PRICES.gateway_step * MILLION:.2f}"],
                    ["Lambda, a million calls", f"{PRICES.lambda_request * MILLION:.2f}"],
                    ["Lambda, a GB-second", f"{PRICES.lambda_gb_second:.10f}"],
                ],
            ),
        ),
        ("MEMORY", f"{memory_gb() * 1_024:,.0f} MB"),
        ("CHUNK_MS", f"{CHUNK_DURATION_SECONDS * 1_000:.0f} ms"),
        ("OTHER_MS", f"{OTHER_DURATION_SECONDS * 1_000:.0f} ms"),
        ("EXTRA_100_MS", format_usd(more)),
        ("WITHOUT_LAMBDA_TIME", format_usd(api.usd_per_tb - api.cost.lambda_duration * TB / api.size)),
        ("PRESIGN_BATCH", str(PRESIGN_BATCH)),
    ]
    text = (Path(__file__).with_name("costs.md.in")).read_text(encoding="utf-8")
    for name, value in parts:
        assert f"@{name}@" in text, name
        text = text.replace(f"@{name}@", value)
    return text


def main(arguments: Sequence[str]) -> int:
    for name, value in DUMMY_ENVIRONMENT.items():
        os.environ[name] = value
    made = render_page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == made:
            return 0
        print(f"{PAGE} is not what the counted calls give: make docs-costs", file=sys.stderr)
        return 1
    from dev.bench.cost_plot import draw

    PAGE.write_text(made, encoding="utf-8")
    draw(PLOT)
    print(f"wrote {PAGE} and {PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
