"""Write docs/costs.md and its plot: USD a TB by either path, from counted calls and the price table.

python -m dev.bench.cost_page            writes both
python -m dev.bench.cost_page --check    fails if the page differs from the counted calls
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from pathlib import Path

from dev.bench.cost_model import (
    API_SCENARIO,
    ASSUMED_CHUNK_SECONDS,
    BY_CHUNK_SIZE,
    BY_FILE_SIZE,
    CALLS_SECONDS,
    CHUNK_MEMORIES_MB,
    FUNCTION_URL_SCENARIO,
    JSON_SCENARIO,
    MILLION,
    MULTIPART_CALLS,
    ONE_CORE_MB,
    ONE_PART_SCENARIO,
    OTHER_DURATION_SECONDS,
    PRESIGNED,
    PRESIGNED_GIB_SCENARIO,
    PRESIGNED_SCENARIO,
    PRICES,
    TARGET_API_USD,
    TARGET_FUNCTION_URL_USD,
    TARGET_PRESIGNED_USD,
    TARGET_PUT_USD,
    TB,
    TUS_CALLS_PER_CHUNK,
    WHOLE,
    WHOLE_TARGET_SCENARIO,
    WISHED_PARTS,
    X86_SCENARIO,
    Scenario,
    billed_chunk_seconds,
    chunk_processor_seconds,
    default_architecture,
    estimated_chunk_seconds,
    extra_usd_per_tb,
    format_size,
    log_bytes_per_request,
    measured_chunk_seconds,
    memory_of,
    parts_usd_per_tb,
    plain_presigned_usd_per_tb,
    standard_storage_usd,
    tiering_storage_usd,
    tus_usd_per_tb,
    usd_per_million_operations,
)
from dev.bench.file_usage import FILE_OPERATIONS, measure_file_operation
from dev.bench.link_usage import LINK_OPERATIONS, measure_link_operation
from dev.bench.usage import PRESIGN_BATCH, Usage
from dev.paths import ROOT
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from ferry.rules.layout import GIB, MIB

DOCS_FOLDER = ROOT / "docs"
PAGE = DOCS_FOLDER / "costs.md"
PLOT = DOCS_FOLDER / "costs.svg"
PAGE_TEMPLATE = Path(__file__).with_name("costs.md.in")
WHOLE_COLUMNS = (
    *("S3", "DynamoDB", "API Gateway", "Lambda calls", "Lambda time", "Logs", "Events"),
    *("USD a million files", "USD a TB"),
)
COST_COLUMNS = ("S3", "DynamoDB", "API Gateway", "Lambda calls", "Lambda time", "Logs", "Events", "USD a TB")


def main(arguments: Sequence[str]) -> int:
    """Return 0 if the page was written or is up to date, 1 if `--check` finds a difference."""
    for name, value in DUMMY_ENVIRONMENT.items():
        os.environ[name] = value
    page = render_page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE.relative_to(ROOT)} differs from the counted calls. Run: make docs-costs", file=sys.stderr)
        return 1
    from dev.bench.cost_plot import draw

    PAGE.write_text(page, encoding="utf-8")
    draw(PLOT)
    print(f"wrote {PAGE.relative_to(ROOT)} and {PLOT.relative_to(ROOT)}")
    return 0


def render_page() -> str:
    """Return the page: `costs.md.in` with each `@NAME@` replaced."""
    text = PAGE_TEMPLATE.read_text(encoding="utf-8")
    for name, value in {**_tables(), **_values()}.items():
        assert f"@{name}@" in text, name
        text = text.replace(f"@{name}@", value)
    return text


def _tables() -> dict[str, str]:
    return {**_summary_tables(), **_scenario_tables(), "PEERS": _peers_table(), "PRICES": _prices_table()}


def _summary_tables() -> dict[str, str]:
    return {
        "TARGETS": format_table(
            ("path", "goal", "cost", "result"),
            [
                _target_row("straight to S3, parts of 64 MiB", TARGET_PRESIGNED_USD, PRESIGNED_SCENARIO),
                _target_row("through the API, chunks of 4 MiB", TARGET_API_USD, API_SCENARIO),
                _target_row("by the function URL, chunks of 4 MiB", TARGET_FUNCTION_URL_USD, FUNCTION_URL_SCENARIO),
                _target_row("whole files of 4 MiB, one request each", TARGET_PUT_USD, WHOLE_TARGET_SCENARIO),
            ],
        ),
        "BY_DURATION": _durations_table(),
        "BY_MEMORY": _memories_table(),
        "BY_ENDPOINT": format_table(
            ("chunks of 4 MiB, file of 1 GiB, by", *COST_COLUMNS),
            [cost_row("the API", API_SCENARIO), cost_row("the function URL", FUNCTION_URL_SCENARIO)],
        ),
        "WISHED_PARTS": format_table(
            ("file size, parts", "S3 calls of the parts", *COST_COLUMNS),
            [_wished_row(scenario) for scenario in WISHED_PARTS],
        ),
        "STORAGE": _storage_table(),
        "USAGE": format_table(
            (
                "one file",
                "S3 PUT class",
                "S3 GET class",
                "DynamoDB calls",
                "write units",
                "read units",
                "requests",
                "events",
            ),
            [
                _usage_row("1 GiB through the API, chunks of 4 MiB", API_SCENARIO),
                _usage_row("1 GiB straight to S3, parts of 8 MiB", PRESIGNED_GIB_SCENARIO),
                _usage_row("625 GiB straight to S3, parts of 64 MiB", PRESIGNED_SCENARIO),
                _usage_row("a whole file in one request, new name", WHOLE_TARGET_SCENARIO),
                _usage_row("a whole file in one request, replaced", WHOLE[-1]),
            ],
        ),
    }


def _scenario_tables() -> dict[str, str]:
    return {
        "BY_CHUNK": format_table(
            ("chunk size, file of 64 MiB", *COST_COLUMNS),
            [cost_row(format_size(scenario.chunk_size), scenario) for scenario in BY_CHUNK_SIZE],
        ),
        "BY_FILE": format_table(
            ("file size, chunks of 4 MiB", *COST_COLUMNS),
            [cost_row(format_size(scenario.size), scenario) for scenario in BY_FILE_SIZE],
        ),
        "IN_JSON": format_table(
            ("body of a chunk, 4 MiB, file of 1 GiB", *COST_COLUMNS),
            [cost_row("octet-stream", API_SCENARIO), cost_row("JSON with base64", JSON_SCENARIO)],
        ),
        "PRESIGNED": format_table(
            ("file size, parts", *COST_COLUMNS),
            [cost_row(_describe_parts(scenario), scenario) for scenario in PRESIGNED],
        ),
        "WHOLE": format_table(
            ("whole file", *WHOLE_COLUMNS),
            [whole_row(scenario) for scenario in WHOLE],
        ),
        "FILES": format_table(
            ("request", "DynamoDB calls", "write units", "read units", "events", "USD a million requests"),
            [_operation_row(name, measure_file_operation(name)) for name in FILE_OPERATIONS],
        ),
        "LINKS": format_table(
            ("request", "DynamoDB calls", "write units", "read units", "events", "USD a million requests"),
            [_operation_row(name, measure_link_operation(name)) for name in LINK_OPERATIONS],
        ),
    }


def _values() -> dict[str, str]:
    return {
        "MEMORY": f"{memory_of('UploadFunction'):,} MB",
        "WHOLE_MEMORY": f"{memory_of('FilesFunction'):,} MB",
        "CHUNK_MS": _format_ms(billed_chunk_seconds(memory_of("UploadFunction"))),
        "MEASURED_MS": _format_ms(measured_chunk_seconds()),
        "PROCESSOR_MS": _format_ms(chunk_processor_seconds()),
        "CALLS_MS": _format_ms(CALLS_SECONDS),
        "CORE_SHARE": f"{memory_of('UploadFunction') / ONE_CORE_MB:.2f}",
        "ONE_CORE": f"{ONE_CORE_MB:,} MB",
        "ASSUMED_MS": f"{ASSUMED_CHUNK_SECONDS * 1_000:.0f} ms",
        "OTHER_MS": f"{OTHER_DURATION_SECONDS * 1_000:.0f} ms",
        "EXTRA_100_MS": _format_usd(extra_usd_per_tb(API_SCENARIO, 0.1)),
        "PRESIGN_BATCH": str(PRESIGN_BATCH),
        "ARCHITECTURE": default_architecture(),
        "X86": _format_usd(X86_SCENARIO.usd_per_tb),
        "LOG_BYTES": f"{log_bytes_per_request():,} bytes",
        **_fixed_values(),
    }


def _fixed_values() -> dict[str, str]:
    """Return what a file straight to S3 costs beside the requests of its parts, and where that is the goal."""
    usage, part_usd = ONE_PART_SCENARIO.usage, PRICES.s3_put
    fixed_usd = ONE_PART_SCENARIO.cost.total - part_usd
    floor_usd = MULTIPART_CALLS * part_usd
    return {
        "FIXED_PUTS": str(usage.puts - 1),
        "FIXED_GETS": str(usage.gets),
        "FIXED_WRITE_UNITS": str(usage.write_units),
        "FIXED_REQUESTS": str(usage.requests),
        "FIXED_EVENTS": str(usage.events),
        "FIXED_USD": f"{fixed_usd * MILLION:.0f}",
        "FIXED_64_MIB": f"{fixed_usd * TB / ONE_PART_SCENARIO.size:.2f}",
        "FILE_FOR_TARGET": f"{(fixed_usd + part_usd) * TB / TARGET_PRESIGNED_USD / 1e6:,.0f} MB",
        "FLOOR_64_MIB": f"{floor_usd * TB / ONE_PART_SCENARIO.size:.2f}",
        "FLOOR_FILE": f"{floor_usd * TB / TARGET_PRESIGNED_USD / 1e6:,.0f} MB",
    }


def _durations_table() -> str:
    """Return the cost by the time of a chunk, for both endpoints."""
    memory_mb = memory_of("UploadFunction")
    durations = [
        ("measured, with the share of a core", billed_chunk_seconds(memory_mb)),
        ("measured, on whole cores", measured_chunk_seconds()),
        ("assumed before the measurement", ASSUMED_CHUNK_SECONDS),
        ("its calls, and its processor time with the share of a core", estimated_chunk_seconds(memory_mb)),
        ("its calls alone", CALLS_SECONDS),
        ("none", 0.0),
    ]
    rows = [
        [
            name,
            _format_ms(seconds),
            *(
                _format_usd(replace(scenario, chunk_seconds=seconds).usd_per_tb)
                for scenario in (API_SCENARIO, FUNCTION_URL_SCENARIO)
            ),
        ]
        for name, seconds in durations
    ]
    return format_table(("time of a chunk", "time", "by the API", "by the function URL"), rows)


def _memories_table() -> str:
    """Return the time of a chunk and the cost by the API, by the memory of the function."""
    rows = []
    for memory_mb in CHUNK_MEMORIES_MB:
        row = [f"{memory_mb:,} MB", f"{memory_mb / ONE_CORE_MB:.2f}"]
        for seconds in (billed_chunk_seconds(memory_mb), estimated_chunk_seconds(memory_mb)):
            scenario = replace(API_SCENARIO, memory_mb=memory_mb, chunk_seconds=seconds)
            row += [_format_ms(seconds), _format_usd(scenario.usd_per_tb)]
        rows.append(row)
    head = ("memory", "cores", "measured", "USD a TB", "calls and processor", "USD a TB")
    return format_table(head, rows)


def _wished_row(scenario: Scenario) -> list[str]:
    name, *costs = cost_row(_describe_parts(scenario), scenario)
    return [name, _format_usd(parts_usd_per_tb(scenario)), *costs]


def _storage_table() -> str:
    rows = []
    for days in (1, 7, 30, 90, 365):
        tiering = (_format_usd(tiering_storage_usd(days, size)) for size in (MIB, GIB))
        rows.append([f"{days} day{'s' if days > 1 else ''}", _format_usd(standard_storage_usd(days)), *tiering])
    return format_table(
        ("stored for", "STANDARD", "INTELLIGENT_TIERING, files of 1 MiB", "INTELLIGENT_TIERING, files of 1 GiB"), rows
    )


def _peers_table() -> str:
    api_usage, presigned = API_SCENARIO.usage, PRESIGNED_SCENARIO
    rows = [
        [
            "Ferry, parts of 64 MiB straight to S3",
            f"{presigned.usage.puts / presigned.layout.part_count:.4f} a part",
            _format_usd(presigned.s3_usd_per_tb),
        ],
        [
            "plain presigned URLs, parts of 64 MiB",
            "1 a part + 2 a file",
            _format_usd(plain_presigned_usd_per_tb(64 * MIB, 10_000)),
        ],
        [
            "Ferry, chunks of 4 MiB through the API",
            f"{(api_usage.puts + api_usage.gets) / api_usage.chunks:.2f} a chunk",
            _format_usd(API_SCENARIO.s3_usd_per_tb),
        ],
    ]
    for size, calls in TUS_CALLS_PER_CHUNK.items():
        usd = " to ".join(map(_format_usd, tus_usd_per_tb(size)))
        rows.append([f"tus-node-server with s3-store, chunks of {format_size(size)}", f"{calls} a chunk", usd])
    return format_table(("client", "S3 calls", "USD a TB, S3 alone"), rows)


def _prices_table() -> str:
    return format_table(
        ("unit", "USD"),
        [
            ["S3, 1,000 PUT, COPY, POST or LIST", f"{PRICES.s3_put * 1_000:.4f}"],
            ["S3, 1,000 GET and others", f"{PRICES.s3_get * 1_000:.4f}"],
            ["DynamoDB on demand, a million write units", f"{PRICES.dynamodb_write * MILLION:.3f}"],
            ["DynamoDB on demand, a million read units", f"{PRICES.dynamodb_read * MILLION:.3f}"],
            ["HTTP API, a million steps of 512 KiB", f"{PRICES.gateway_step * MILLION:.2f}"],
            ["Lambda, a million calls", f"{PRICES.lambda_request * MILLION:.2f}"],
            *(
                [f"Lambda, a GB-second on {architecture}", f"{usd:.10f}"]
                for architecture, usd in PRICES.lambda_gb_second.items()
            ),
            ["CloudWatch Logs, a GB taken in", f"{PRICES.log_gb:.2f}"],
            ["EventBridge, a million events put", f"{PRICES.event * MILLION:.2f}"],
            ["S3 STANDARD, a GB a month", f"{PRICES.standard_gb_month:.4f}"],
            *(
                [f"S3 INTELLIGENT_TIERING, a GB a month, {start} days after the last access", f"{usd:.4f}"]
                for start, usd in PRICES.tiers_gb_month
            ),
            ["S3 INTELLIGENT_TIERING, 1,000 objects a month", f"{PRICES.tiering_object_month * 1_000:.4f}"],
        ],
    )


def _usage_row(name: str, scenario: Scenario) -> list[str]:
    usage = scenario.usage
    return [
        name,
        f"{usage.puts:,}",
        f"{usage.gets:,}",
        f"{usage.dynamodb_calls:,}",
        f"{usage.write_units:,}",
        f"{usage.read_units:,.0f}",
        f"{usage.requests:,}",
        f"{usage.events:,}",
    ]


def _operation_row(name: str, usage: Usage) -> list[str]:
    counts = (usage.dynamodb_calls, usage.write_units, usage.read_units, usage.events)
    return [name, *(f"{count:,.0f}" for count in counts), f"**{_format_usd(usd_per_million_operations(usage))}**"]


def cost_row(name: str, scenario: Scenario) -> list[str]:
    """Return the cells of a scenario: its name, then USD a TB by service, then their sum."""
    cost, per_tb = scenario.cost, TB / scenario.size
    return [name, *(_format_usd(usd * per_tb) for usd in astuple(cost)), f"**{_format_usd(scenario.usd_per_tb)}**"]


def whole_row(scenario: Scenario) -> list[str]:
    """Return the cells of a whole file: its name, then USD a million files by service, their sum, and USD a TB."""
    name = f"{format_size(scenario.size)}, {'replaced' if scenario.replaces else 'new name'}"
    cost = (_format_usd(usd * MILLION) for usd in astuple(scenario.cost))
    million = f"**{_format_usd(scenario.usd_per_million_files)}**"
    return [name, *cost, million, _format_usd(scenario.usd_per_tb)]


def _target_row(name: str, target_usd: float, scenario: Scenario) -> list[str]:
    usd = scenario.usd_per_tb
    result = "met" if usd <= target_usd else f"missed by {_format_usd(usd - target_usd)}"
    return [name, f"{target_usd:.2f}", _format_usd(usd), result]


def _describe_parts(scenario: Scenario) -> str:
    layout = scenario.layout
    return f"{format_size(scenario.size)}, {layout.part_count:,} of {format_size(layout.part_size)}"


def _format_ms(seconds: float) -> str:
    return f"{seconds * 1_000:,.0f} ms"


def _format_usd(value: float) -> str:
    return f"{value:,.3f}" if value < 1 else f"{value:,.2f}"


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column aligned to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
