"""What a load run does and costs, said before it starts."""

from __future__ import annotations

import math
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from unittest.mock import patch
from urllib.parse import urlsplit

from dev.bench.errors import BenchError
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from ferry.rules.layout import MIB, ChunkLayout

MAX_UPLOADS, MAX_SENDERS, MAX_SECONDS = 10_000, 500, 3_000
DEFAULT_MAX_GB = 20.0
MAX_PUT_BYTES = 4 * MIB
PRESIGN_BATCH, DELETE_BATCH = 100, 100
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class DataPath(StrEnum):
    """How the bytes travel."""

    API = "api"
    """Chunks through the API."""
    DIRECT = "direct"
    """Parts straight to S3."""
    PUT = "put"
    """One request a file."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load run. The constructor raises `BenchError` for values beyond the bounds."""

    url: str
    """The API's address."""
    data_path: DataPath
    """How the bytes travel."""
    uploads: int
    """Uploads that are open at once."""
    size_bytes: int
    """Bytes of each file."""
    senders: int
    """Requests at the same time."""
    max_seconds: float
    """No request starts later than this after the first one."""
    max_gb: float = DEFAULT_MAX_GB
    """The bytes of all files together must not be more than this."""
    prefix: str = field(default_factory=lambda: f"load-{secrets.token_hex(4)}-")
    """The beginning of every file's name."""

    def __post_init__(self) -> None:
        bounds = (
            ("uploads", self.uploads, MAX_UPLOADS),
            ("senders", self.senders, MAX_SENDERS),
            ("seconds", self.max_seconds, MAX_SECONDS),
        )
        for name, value, most in bounds:
            if not 1 <= value <= most:
                raise BenchError(f"{name} is {value:g}: give 1 to {most:,}")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc:
            raise BenchError(f"{self.url!r} is no address of an API: give one, as in URL=https://example.org")
        if self.size_bytes < 1:
            raise BenchError("the size is below 1 byte: give more")
        if self.data_path is DataPath.PUT and self.size_bytes > MAX_PUT_BYTES:
            raise BenchError("one request stores at most 4 MiB: give a smaller size, or another way")
        if self.total_bytes > self.max_gb * 1e9:
            raise BenchError(
                f"{self.total_bytes / 1e9:.1f} GB are more than {self.max_gb:g} GB: give fewer uploads, a smaller "
                "size or a higher --max-gb"
            )

    @property
    def layout(self) -> ChunkLayout:
        """Chunks and parts of a file."""
        return ChunkLayout.plan(self.size_bytes, 4 * MIB)

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return self.uploads * self.size_bytes

    @property
    def api_requests(self) -> int:
        """Requests to the API without repetitions, deletions included."""
        each = {
            DataPath.PUT: 1,
            DataPath.API: 2 + self.layout.chunk_count,
            DataPath.DIRECT: 2 + math.ceil(self.layout.part_count / PRESIGN_BATCH),
        }[self.data_path]
        return 1 + self.uploads * each + math.ceil(self.uploads / DELETE_BATCH)

    @property
    def usd(self) -> float:
        """What AWS charges for the calls, by the cost model."""
        from dev.bench.cost_model import Scenario

        scenario = Scenario(
            self.size_bytes, presigned=self.data_path is DataPath.DIRECT, whole=self.data_path is DataPath.PUT
        )
        # The calls are counted on emulators in this process.
        with patch.dict(os.environ, DUMMY_ENVIRONMENT):
            return scenario.cost.total * self.uploads

    def describe(self) -> str:
        """Return what will happen, for the person who confirms it."""
        how = {
            DataPath.API: f"{self.layout.chunk_count} chunks of 4 MiB each through the API",
            DataPath.DIRECT: f"{self.layout.part_count} parts each straight to S3",
            DataPath.PUT: "one request each",
        }[self.data_path]
        is_local = urlsplit(self.url).hostname in _LOCAL_HOSTS
        cost = (
            "This machine: no charge."
            if is_local
            else f"AWS charges about {self.usd:.4f} USD for it, without repetitions, storage and what comes on your "
            "network: API Gateway, Lambda, DynamoDB, S3's requests, logs (docs/costs.md)."
        )
        return (
            f"Load on {self.url}\n"
            f"  {self.uploads:,} uploads of {self.size_bytes:,} bytes, open at once: {how}\n"
            f"  {self.total_bytes / 1e6:,.1f} MB to send in about {self.api_requests:,} requests to the API, "
            f"{self.senders} at a time, for at most {self.max_seconds:g} s\n"
            f"  The files' names begin with {self.prefix}. They are deleted at the end; their bytes stay stored for\n"
            "  DeletedFileRetentionDays.\n"
            f"  {cost}"
        )
