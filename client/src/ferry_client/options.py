"""Options of a client. Each has a default that suits most lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

KIB = 1024
"""Bytes of a KiB."""

MIB = 1024 * KIB
"""Bytes of a MiB."""

MIN_CHUNK_BYTES = 64 * KIB
"""Smallest chunk. The service's limit."""

MAX_CHUNK_BYTES = 4 * MIB
"""Largest chunk. The service's limit."""

MAX_PUT_BYTES = 4 * MIB
"""Largest file that one PUT sends. The service's limit."""

MIN_PART_BYTES = 5 * MIB
"""Smallest part of a multipart upload. S3's limit."""

MAX_AUTO_JOBS = 16
"""Most requests at once where their number adapts."""

FIRST_JOBS = 4
"""The fewest requests at once where parts go straight to S3, and where the rate is not slow."""

DIRECT_MIN_BYTES_PER_SECOND = 2_000_000
"""On slower lines everything goes in chunks: a part has at least 5 MiB, and a break loses half of it on average."""

SLOW_BYTES_PER_SECOND = 64 * KIB
"""One request at a time fills a slower line."""

UNKNOWN_BYTES_PER_SECOND = 1_000_000
"""Rate that is assumed of an unknown line."""


def min_jobs(bytes_per_second: float) -> int:
    """Return the fewest requests at once on a line of this rate, where their number adapts.

    Each further request fills the gaps of the others, and loses a further chunk at a change of address.
    """
    if bytes_per_second < SLOW_BYTES_PER_SECOND:
        return 1
    return 2 if bytes_per_second < DIRECT_MIN_BYTES_PER_SECOND else FIRST_JOBS


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client transfers."""

    retry_for_seconds: float = 900.0
    """How long a request is repeated without success before `NetworkError`. Each success starts the time anew."""

    wait_for_name: bool = True
    """Whether a host that the name server does not know is tried again, too: devices start before their network is
    ready. False: `NetworkError` at once."""

    stall_seconds: float = 30.0
    """A connection on which nothing moves for this long is closed, and the request is sent on a fresh one."""

    connect_seconds: float = 15.0
    """How long to wait for a connection."""

    max_jobs: int | None = None
    """How many requests transfer bytes at once; None: adapted to what the line gives, up to `MAX_AUTO_JOBS`."""

    direct_from_bytes: int = 16 * MIB
    """Files of at least this size are sent in parts straight to S3, smaller ones in chunks through the API. On a line
    that is known to be fast, parts begin at S3's smallest size, 5 MiB."""

    allow_direct: bool = True
    """Whether bytes may go straight between this machine and S3. False: through the API alone."""

    part_bytes: int = 16 * MIB
    """Wish for the size of parts sent straight to S3."""

    chunk_bytes: int | None = None
    """Bytes of each chunk through the API, a power of two from 64 KiB to 4 MiB; None: chosen by the line's speed."""

    range_bytes: int | None = None
    """Bytes of each range that a download requests from S3; None: 8 to 32 MiB, by the size of the file."""

    rate_limit_bytes: int | Callable[[], int | None] | None = None
    """Bytes a second over all transfers of this client, or a function that returns them; None: no limit."""

    ca_file: str | None = None
    """File of the certificate authorities to trust, in PEM; None: the system's."""

    proxy_url: str | None = field(default=None, repr=False)
    """HTTP proxy; None: by the environment's HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

    @property
    def threads(self) -> int:
        """How many threads prepare requests."""
        return self.max_jobs or MAX_AUTO_JOBS

    def rate_limit(self) -> int | None:
        """Return the limit of this moment in bytes a second; None: no limit."""
        limit = self.rate_limit_bytes
        return (limit() if callable(limit) else limit) or None
