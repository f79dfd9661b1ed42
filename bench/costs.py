"""Writes docs/costs.md and its plot: what a TB costs by either path, from counted calls and a table of prices.

python -m bench.costs            writes both
python -m bench.costs --check    fails when the page is not what the counted calls give
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.counted import SIGNED_AT_ONCE, Bill, count
from ferry.grid import GIB, KIB, MIB, Grid
from tests.conftest import DUMMY
from tests.support.template import properties

DOCS = Path(__file__).parents[1] / "docs"
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
GATEWAY_STEP = 512 * KIB
CHUNK_SECONDS, OTHER_SECONDS = 0.150, 0.050
"""How long a function is taken to run: assumed, for nothing here measures AWS's network."""


@dataclass(frozen=True)
class Cost:
    """USD for one file, by who is paid."""

    s3: float
    dynamodb: float
    gateway: float
    calls: float
    seconds: float

    @property
    def total(self) -> float:
        return self.s3 + self.dynamodb + self.gateway + self.calls + self.seconds


@dataclass(frozen=True)
class Case:
    """A file of some size, sent by one path."""

    size: int
    chunk_size: int = 4 * MIB
    direct: bool = False
    in_json: bool = False

    @property
    def grid(self) -> Grid:
        return Grid.plan(self.size, self.chunk_size)

    @property
    def bill(self) -> Bill:
        return count(self.size, self.chunk_size, direct=self.direct)

    @property
    def cost(self) -> Cost:
        bill, prices = self.bill, PRICES
        carried = -(-self.chunk_size * 4 // 3) + 100 if self.in_json else self.chunk_size
        steps = max(1, -(-carried // GATEWAY_STEP))
        seconds = bill.chunks * CHUNK_SECONDS + (bill.requests - bill.chunks) * OTHER_SECONDS
        return Cost(
            s3=bill.puts * prices.s3_put + bill.gets * prices.s3_get,
            dynamodb=bill.write_units * prices.dynamodb_write + bill.read_units * prices.dynamodb_read,
            gateway=(bill.requests - bill.chunks + bill.chunks * steps) * prices.gateway_step,
            calls=bill.requests * prices.lambda_request,
            seconds=seconds * memory_gb() * prices.lambda_gb_second,
        )

    @property
    def usd_per_tb(self) -> float:
        return self.cost.total * TB / self.size


@cache
def memory_gb() -> float:
    """The upload function's memory, as the template has it."""
    return float(properties("UploadFunction")["MemorySize"]) / 1_024


BY_CHUNK = [Case(64 * MIB, size) for size in (256 * KIB, MIB, 4 * MIB)]
BY_FILE = [Case(size) for size in (4 * MIB, 64 * MIB, GIB)]
DIRECT = [Case(size, direct=True) for size in (16 * MIB, GIB, 80_000 * MIB, 625 * GIB, 5 * TIB)]
GOAL_API, GOAL_DIRECT = 3.60, 0.10
THROUGH_THE_API, AT_64_MIB = Case(GIB), Case(625 * GIB, direct=True)

TUS = {4 * MIB: 5.5, 8 * MIB: 5.0}
"""S3 calls a chunk of tus-node-server with its s3-store, by chunk size, counted at a gateway."""


def plain_presigned(part_size: int, parts: int) -> float:
    """USD a TB where a client is given one URL a part by nobody in particular: S3 alone, two calls more a file."""
    return (parts + 2) * PRICES.s3_put * TB / (part_size * parts)


def tus(chunk_size: int) -> tuple[float, float]:
    """USD a TB for S3 alone, if every call were a GET, and if every call were a PUT."""
    calls = TUS[chunk_size] * TB / chunk_size
    return calls * PRICES.s3_get, calls * PRICES.s3_put


def size_of(number: int) -> str:
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if number >= unit:
            value = number / unit
            return f"{value:.0f} {name}" if value == int(value) else f"{value:.1f} {name}"
    return f"{number} B"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def usd(value: float) -> str:
    return f"{value:,.3f}" if value < 1 else f"{value:,.2f}"


def bill_row(name: str, case: Case) -> list[str]:
    bill = case.bill
    return [
        name,
        f"{bill.puts:,}",
        f"{bill.gets:,}",
        f"{bill.dynamodb_calls:,}",
        f"{bill.write_units:,}",
        f"{bill.read_units:,.0f}",
        f"{bill.requests:,}",
    ]


def cost_row(name: str, case: Case) -> list[str]:
    cost, per_tb = case.cost, TB / case.size
    parts = (cost.s3, cost.dynamodb, cost.gateway, cost.calls, cost.seconds)
    return [name, *(usd(part * per_tb) for part in parts), f"**{usd(case.usd_per_tb)}**"]


def goal_row(name: str, goal: float, case: Case) -> list[str]:
    found = case.usd_per_tb
    return [name, f"{goal:.2f}", usd(found), "met" if found <= goal else f"missed by {usd(found - goal)}"]


def figures() -> str:
    """What the plot shows, in one line: it carries it, so that one drawn from other figures is found out."""
    return "USD a TB: " + ", ".join(f"{case.usd_per_tb:.4f}" for case in (*BY_CHUNK, *DIRECT))


def parts_of(case: Case) -> str:
    return f"{size_of(case.size)}, {case.grid.part_count:,} of {size_of(case.grid.part_size)}"


def page() -> str:
    api, direct = THROUGH_THE_API, AT_64_MIB
    more = api.bill.chunks * 0.1 * memory_gb() * PRICES.lambda_gb_second * TB / api.size
    parts = [
        (
            "BILLS",
            table(
                ("one file", "S3 PUT class", "S3 GET class", "DynamoDB calls", "write units", "read units", "requests"),
                [
                    bill_row("1 GiB through the API, chunks of 4 MiB", api),
                    bill_row("1 GiB straight to S3, parts of 8 MiB", DIRECT[1]),
                    bill_row("625 GiB straight to S3, parts of 64 MiB", direct),
                ],
            ),
        ),
    ]
    columns = ("S3", "DynamoDB", "API Gateway", "Lambda calls", "Lambda time", "USD a TB")
    parts += [
        (
            "GOALS",
            table(
                ("", "goal", "is", ""),
                [
                    goal_row("straight to S3, parts of 64 MiB", GOAL_DIRECT, direct),
                    goal_row("through the API, chunks of 4 MiB", GOAL_API, api),
                ],
            ),
        ),
        (
            "BY_CHUNK",
            table(("chunks of, file of 64 MiB", *columns), (cost_row(size_of(c.chunk_size), c) for c in BY_CHUNK)),
        ),
        ("BY_FILE", table(("file, chunks of 4 MiB", *columns), (cost_row(size_of(c.size), c) for c in BY_FILE))),
        (
            "IN_JSON",
            table(
                ("body of a chunk, 4 MiB, file of 1 GiB", *columns),
                [
                    cost_row("octet-stream", api),
                    cost_row("JSON with base64", Case(GIB, in_json=True)),
                ],
            ),
        ),
        ("DIRECT", table(("file, parts", *columns), (cost_row(parts_of(c), c) for c in DIRECT))),
        (
            "PEERS",
            table(
                ("", "S3 calls", "USD a TB, S3 alone"),
                [
                    [
                        "Ferry, parts of 64 MiB straight to S3",
                        f"{direct.bill.puts / direct.grid.part_count:.4f} a part",
                        usd(direct.cost.s3 * TB / direct.size),
                    ],
                    [
                        "plain presigned URLs, parts of 64 MiB",
                        "1 a part + 2 a file",
                        usd(plain_presigned(64 * MIB, 10_000)),
                    ],
                    [
                        "Ferry, chunks of 4 MiB through the API",
                        f"{(api.bill.puts + api.bill.gets) / api.bill.chunks:.2f} a chunk",
                        usd(api.cost.s3 * TB / api.size),
                    ],
                    *(
                        [
                            f"tus-node-server with s3-store, chunks of {size_of(size)}",
                            f"{calls} a chunk",
                            f"{usd(tus(size)[0])} to {usd(tus(size)[1])}",
                        ]
                        for size, calls in TUS.items()
                    ),
                ],
            ),
        ),
        (
            "PRICES",
            table(
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
        ("CHUNK_MS", f"{CHUNK_SECONDS * 1_000:.0f} ms"),
        ("OTHER_MS", f"{OTHER_SECONDS * 1_000:.0f} ms"),
        ("MORE", usd(more)),
        ("WITHOUT", usd(api.usd_per_tb - api.cost.seconds * TB / api.size)),
        ("SIGNED", str(SIGNED_AT_ONCE)),
    ]
    text = (Path(__file__).with_name("costs.md.in")).read_text(encoding="utf-8")
    for name, value in parts:
        assert f"@{name}@" in text, name
        text = text.replace(f"@{name}@", value)
    return text


def main(arguments: Sequence[str]) -> int:
    for name, value in DUMMY.items():
        os.environ[name] = value
    made = page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == made:
            return 0
        print(f"{PAGE} is not what the counted calls give: make costs", file=sys.stderr)
        return 1
    from bench.costs_plot import draw

    PAGE.write_text(made, encoding="utf-8")
    draw(PLOT)
    print(f"wrote {PAGE} and {PLOT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
