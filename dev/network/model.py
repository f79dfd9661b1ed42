"""What a network does to the connections through it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A network between clients and one server."""

    round_trip_ms: float = 0.0
    """Added round-trip time. Half of it delays each direction, and a new connection waits for all of it."""

    connection_bytes_per_second: float | None = None
    """Rate of each direction of each connection; None: no limit."""

    link_bytes_per_second: float | None = None
    """Rate of each direction of all connections together; None: no limit."""

    reset_after_bytes: int | None = None
    """Each connection is reset after so many bytes in both directions; None: never."""

    outage_every_seconds: float | None = None
    """Time from the start of one outage to the start of the next; None: no outages."""

    outage_seconds: float = 0.0
    """Length of each outage: open connections are silent, and new ones are not accepted."""

    def seconds_until_back(self, elapsed_seconds: float) -> float:
        """Return how long the outage at this time after the start still lasts; 0 if there is none.

        Each period ends with its outage.
        """
        if self.outage_every_seconds is None:
            return 0.0
        left = self.outage_every_seconds - elapsed_seconds % self.outage_every_seconds
        return left if left <= self.outage_seconds else 0.0


AWS_S3 = Network(round_trip_ms=25, connection_bytes_per_second=90_000_000)
"""S3 as a function in the same region sees it: first byte after about 25 ms, about 90 MB/s a connection."""

AWS_DYNAMODB = Network(round_trip_ms=4)
"""DynamoDB as a function in the same region sees it: about 4 ms a call."""

SATELLITE = Network(round_trip_ms=600, link_bytes_per_second=1_000_000)
"""A geostationary satellite."""

SLOW_LINE = Network(round_trip_ms=100, link_bytes_per_second=8_000)
"""64 kbit/s."""

OUTAGES = Network(round_trip_ms=40, link_bytes_per_second=1_000_000, outage_every_seconds=120, outage_seconds=30)
"""A line that is gone for 30 s every two minutes."""

RESETS = Network(round_trip_ms=40, link_bytes_per_second=1_000_000, reset_after_bytes=500_000)
"""A middlebox that resets each connection after 500 KB."""
