"""The cost of an upload in USD: counted calls times AWS's prices, by path, file size and chunk size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from functools import cache

from dev.bench import api_report
from dev.bench.log_lines import access_log_line, billed_bytes, response_line
from dev.bench.usage import Usage, measure_put_usage, measure_usage
from dev.figures import read_figures
from dev.local.template import load_template
from dev.testing.template import TEMPLATE, resource_properties
from ferry.rules.layout import GIB, KIB, MIB, ChunkLayout

TB, GB = 10**12, 10**9
TIB = 1024 * GIB
MILLION = 1_000_000
GATEWAY_STEP_BYTES = 512 * KIB
"""API Gateway meters HTTP API requests in steps of this size."""

ASSUMED_CHUNK_SECONDS, OTHER_DURATION_SECONDS = 0.150, api_report.OTHER_REQUEST_MS / 1_000
"""Billed duration of a request that carries a chunk, as this model assumed it before it was measured, and of any
request without one.
"""

CALLS_SECONDS = api_report.CALLS_MS / 1_000
"""Time of the calls of a chunk alone, by the delays of `dev/network/model.py` (docs/decisions/0015)."""

ONE_CORE_MB = 1_769
"""Memory in MB at which Lambda gives a function one core. A function with less has that share of a core."""

TARGET_API_USD, TARGET_FUNCTION_URL_USD, TARGET_PRESIGNED_USD, TARGET_PUT_USD = 4.00, 2.10, 0.10, 6.00
"""Goals in USD a TB: chunks of 4 MiB by the API and by the function URL, parts of 64 MiB, whole files of 4 MiB."""


@dataclass(frozen=True)
class Prices:
    """On-demand prices in USD for one unit each."""

    s3_put: float = 0.005 / 1_000
    """A PUT, COPY, POST or LIST request."""

    s3_get: float = 0.0004 / 1_000
    """A GET request, or any other that is not in the PUT class."""

    lambda_request: float = 0.20 / MILLION
    """A call of a function."""
    lambda_gb_second: Mapping[str, float] = field(
        default_factory=lambda: {"arm64": 0.0000133334, "x86_64": 0.0000166667}
    )
    """A GB-second, by architecture."""

    dynamodb_write: float = 0.625 / MILLION
    """A write request unit."""

    dynamodb_read: float = 0.125 / MILLION
    """A read request unit."""

    gateway_step: float = 1.00 / MILLION
    """A step of `GATEWAY_STEP_BYTES`."""

    log_gb: float = 0.50
    """A GB written to CloudWatch Logs."""

    event: float = 1.00 / MILLION
    """An event of up to 64 KB put on a bus."""

    standard_gb_month: float = 0.023
    """A GB stored for a month in STANDARD, and in the first tier of INTELLIGENT_TIERING."""

    tiers_gb_month: tuple[tuple[int, float], ...] = ((0, 0.023), (30, 0.0125), (90, 0.004))
    """The tiers of INTELLIGENT_TIERING: from which day without access, and a GB a month."""

    tiering_object_month: float = 0.0025 / 1_000
    """Monitoring of an object of 128 KiB and more in INTELLIGENT_TIERING for a month."""


PRICES = Prices()


@dataclass(frozen=True)
class Cost:
    """The cost of one file in USD, by AWS service."""

    s3: float
    """Requests, without storage."""
    dynamodb: float
    """Write and read request units."""
    gateway: float
    """Steps of API Gateway."""
    lambda_requests: float
    """Calls of functions."""
    lambda_duration: float
    """GB-seconds of functions."""
    logs: float
    """GB written to CloudWatch Logs."""
    events: float
    """Events put on the bus."""

    @property
    def total(self) -> float:
        return math.fsum(astuple(self))


@dataclass(frozen=True)
class Scenario:
    """One file, uploaded by one path."""

    size: int
    """Bytes of the file."""

    chunk_size: int = 4 * MIB
    """Bytes of a chunk."""

    presigned: bool = False
    """Parts go straight to S3; otherwise chunks go through the API."""

    json_body: bool = False
    """Chunks are base64 in JSON; otherwise they are raw bytes."""

    architecture: str = ""
    """Processor of the functions; empty for the template's default."""

    whole: bool = False
    """One request stores the whole file."""

    replaces: bool = False
    """With `whole`: the name has a file already."""

    function_url: bool = False
    """Chunks go to the URL of the chunk function (`ChunkEndpoint`)."""

    chunk_seconds: float | None = None
    """Billed duration of a request that carries a chunk or a whole file; None: as measured, with the memory."""

    memory_mb: int = 0
    """Memory of the function in MB; 0 for the template's."""

    part_size: int | None = None
    """The `part_size` that start asks for; None: none."""

    @property
    def layout(self) -> ChunkLayout:
        return ChunkLayout.plan(self.size, self.chunk_size, self.part_size)

    @property
    def usage(self) -> Usage:
        if self.whole:
            return measure_put_usage(replaces=self.replaces)
        return measure_usage(self.layout, presigned=self.presigned)

    @property
    def cost(self) -> Cost:
        usage, prices = self.usage, PRICES
        sent_bytes = self.size if self.whole else self.chunk_size
        body_bytes = -(-sent_bytes * 4 // 3) + 100 if self.json_body else sent_bytes
        steps_per_chunk = 0 if self.function_url else max(1, -(-body_bytes // GATEWAY_STEP_BYTES))
        other_requests = usage.requests - usage.chunks
        memory_mb = self.memory_mb or memory_of("FilesFunction" if self.whole else "UploadFunction")
        chunk_seconds = billed_chunk_seconds(memory_mb) if self.chunk_seconds is None else self.chunk_seconds
        seconds = usage.chunks * chunk_seconds + other_requests * OTHER_DURATION_SECONDS
        chunk_log_bytes = response_line_bytes() if self.function_url else log_bytes_per_request()
        return Cost(
            s3=usage.puts * prices.s3_put + usage.gets * prices.s3_get,
            dynamodb=usage.write_units * prices.dynamodb_write + usage.read_units * prices.dynamodb_read,
            gateway=(other_requests + usage.chunks * steps_per_chunk) * prices.gateway_step,
            lambda_requests=usage.requests * prices.lambda_request,
            lambda_duration=seconds * second_usd(memory_mb, self.architecture),
            logs=(usage.chunks * chunk_log_bytes + other_requests * log_bytes_per_request()) / GB * prices.log_gb,
            events=usage.events * prices.event,
        )

    @property
    def usd_per_tb(self) -> float:
        return self.cost.total * TB / self.size

    @property
    def usd_per_million_files(self) -> float:
        return self.cost.total * MILLION

    @property
    def s3_usd_per_tb(self) -> float:
        """S3's share of `usd_per_tb`."""
        return self.cost.s3 * TB / self.size


BY_CHUNK_SIZE = [Scenario(64 * MIB, size) for size in (256 * KIB, MIB, 4 * MIB)]
BY_FILE_SIZE = [Scenario(size) for size in (4 * MIB, 64 * MIB, GIB)]
WHOLE = [
    Scenario(size, whole=True, replaces=replaces, chunk_seconds=ASSUMED_CHUNK_SECONDS)
    for size in (16 * KIB, 4 * MIB)
    for replaces in (False, True)
]
WHOLE_TARGET_SCENARIO = WHOLE[2]
PRESIGNED = [Scenario(size, presigned=True) for size in (16 * MIB, GIB, 80_000 * MIB, 625 * GIB, 5 * TIB)]
API_SCENARIO, JSON_SCENARIO = Scenario(GIB), Scenario(GIB, json_body=True)
FUNCTION_URL_SCENARIO = Scenario(GIB, function_url=True)
WISHED_PARTS = [
    Scenario(size, presigned=True, part_size=part_size)
    for size, part_size in (
        (64 * MIB, 64 * MIB),
        (256 * MIB, 64 * MIB),
        (GIB, 64 * MIB),
        (10 * GIB, 64 * MIB),
        (100 * GIB, 64 * MIB),
        (GIB, 128 * MIB),
        (10 * GIB, 128 * MIB),
        (GIB, GIB),
    )
]
"""Files straight to S3 whose start asks for larger parts."""
ONE_PART_SCENARIO = WISHED_PARTS[0]
MULTIPART_CALLS = 3
"""Calls of the smallest multipart upload: CreateMultipartUpload, UploadPart, CompleteMultipartUpload."""
CHUNK_MEMORIES_MB = (512, 768, 1_024, ONE_CORE_MB)
"""Memories of the function that takes chunks, for which the page has the cost."""
X86_SCENARIO = Scenario(GIB, architecture="x86_64")
PRESIGNED_GIB_SCENARIO, PRESIGNED_SCENARIO = PRESIGNED[1], PRESIGNED[3]

TUS_CALLS_PER_CHUNK = {4 * MIB: 5.5, 8 * MIB: 5.0}
"""S3 calls a chunk of tus-node-server with its s3-store, by chunk size, counted at a proxy in front of S3."""


@cache
def memory_of(function: str) -> int:
    """Return a function's memory in MB, which the template sets."""
    return int(resource_properties(function)["MemorySize"])


@cache
def default_architecture() -> str:
    """Return the processor of the functions, which the template sets."""
    return str(load_template(TEMPLATE)["Parameters"]["Architecture"]["Default"])


def second_usd(memory_mb: int, architecture: str = "") -> float:
    """Return the cost of one second of a function with that memory; default: on the template's architecture."""
    return memory_mb / 1_024 * PRICES.lambda_gb_second[architecture or default_architecture()]


@cache
def measured_chunk_seconds() -> float:
    """Return the mean time of a function for a chunk of 4 MiB, as `make prove-api NETWORK=aws` measured it."""
    return float(round(api_report.mean_chunk_ms(read_figures("api")))) / 1_000


@cache
def chunk_processor_seconds() -> float:
    """Return the processor time of the functions for a chunk, with start and completion, of the same measurement."""
    return float(api_report.one_sender_row(read_figures("api"))["cpu_ms_a_chunk"]["functions"]) / 1_000


def billed_chunk_seconds(memory_mb: int) -> float:
    """Return the time of a chunk with that memory: as measured on whole cores, and longer by its share of a core.

    Lambda bills whole milliseconds.
    """
    return round(measured_chunk_seconds() + chunk_processor_seconds() * (ONE_CORE_MB / memory_mb - 1), 3)


def estimated_chunk_seconds(memory_mb: int) -> float:
    """Return the time of a chunk with that memory without the emulators: its calls, and its processor time."""
    return CALLS_SECONDS + chunk_processor_seconds() * ONE_CORE_MB / memory_mb


def response_line_bytes() -> int:
    """Return the bytes that CloudWatch Logs bills for the line of a function about a request."""
    return billed_bytes(response_line())


def log_bytes_per_request() -> int:
    """Return the bytes that CloudWatch Logs bills for one request by the API: that line, and the access log's."""
    return response_line_bytes() + billed_bytes(access_log_line())


def parts_usd_per_tb(scenario: Scenario) -> float:
    """Return USD a TB of the requests that carry the parts, without anything else of their file."""
    return scenario.layout.part_count * PRICES.s3_put * TB / scenario.size


def usd_per_million_operations(usage: Usage) -> float:
    """Return USD for a million requests with this usage, without Lambda time. Their bodies are one step each."""
    prices = PRICES
    gateway_and_lambda = usage.requests * (prices.gateway_step + prices.lambda_request)
    dynamodb = usage.write_units * prices.dynamodb_write + usage.read_units * prices.dynamodb_read
    logs = usage.requests * log_bytes_per_request() / GB * prices.log_gb
    return (gateway_and_lambda + dynamodb + logs + usage.events * prices.event) * MILLION


DAYS_A_MONTH = 30


def standard_storage_usd(days: int) -> float:
    """Return USD for a TB that is stored for so many days in STANDARD."""
    return TB / GB * PRICES.standard_gb_month * days / DAYS_A_MONTH


def tiering_storage_usd(days: int, file_bytes: int) -> float:
    """Return USD for a TB of files of that size that are stored for so many days in INTELLIGENT_TIERING, unread."""
    starts = [*(start for start, _ in PRICES.tiers_gb_month), days]
    stored = sum(
        max(0, min(days, end) - start) * usd
        for (start, usd), end in zip(PRICES.tiers_gb_month, starts[1:], strict=True)
    )
    monitoring = TB / file_bytes * PRICES.tiering_object_month * days
    return (TB / GB * stored + monitoring) / DAYS_A_MONTH


def plain_presigned_usd_per_tb(part_size_bytes: int, part_count: int) -> float:
    """Return USD a TB of S3 alone for a plain presigned upload: one call a part and two a file."""
    return (part_count + 2) * PRICES.s3_put * TB / (part_size_bytes * part_count)


def tus_usd_per_tb(chunk_size_bytes: int) -> tuple[float, float]:
    """Return USD a TB of S3 alone for tus: the minimum if all its calls are GETs, the maximum if all are PUTs."""
    calls = TUS_CALLS_PER_CHUNK[chunk_size_bytes] * TB / chunk_size_bytes
    return calls * PRICES.s3_get, calls * PRICES.s3_put


def extra_usd_per_tb(scenario: Scenario, seconds_per_chunk: float) -> float:
    """Return what each further `seconds_per_chunk` of Lambda time adds, in USD a TB."""
    usd = second_usd(memory_of("UploadFunction"), scenario.architecture)
    return scenario.usage.chunks * seconds_per_chunk * usd * TB / scenario.size


def format_size(size_bytes: int) -> str:
    """Return a size in the largest binary unit that it reaches: `4 MiB`."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            value = size_bytes / unit
            return f"{value:.0f} {name}" if value == int(value) else f"{value:.1f} {name}"
    return f"{size_bytes} B"


def figures_line() -> str:
    """Return the plotted figures in one line, which the plot's file holds so that a test detects an outdated plot."""
    return "USD a TB: " + ", ".join(f"{scenario.usd_per_tb:.4f}" for scenario in (*BY_CHUNK_SIZE, *PRESIGNED))
