"""Send parts straight to S3, by presigned URLs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ferry_client.api import RETRYABLE_STATUSES, Api
from ferry_client.checksums import crc32c_to_base64
from ferry_client.direct import DirectAccess
from ferry_client.errors import IntegrityError, NetworkError
from ferry_client.sources import SourceBody, range_crc32c
from ferry_client.transport import HttpRequest, TransportError

if TYPE_CHECKING:
    from ferry_client.models import UploadPlan
    from ferry_client.sources import Source
    from ferry_client.workers import TransferLimit

SIGNED_AHEAD = 8
"""Parts whose URLs are asked for at once."""

MAX_REJECTIONS = 20
"""How often S3 rejects one part before the upload fails. Broken connections do not count."""


@dataclass(frozen=True, slots=True)
class _SignedPart:
    """A part that S3 accepts."""

    url: str
    """The presigned URL, a secret."""
    headers: Mapping[str, str]
    """Header fields that the URL was signed with."""
    crc: int
    """CRC32C that S3 enforces."""


class PartSender:
    """Sends the parts of one upload. Thread-safe."""

    def __init__(
        self,
        api: Api,
        source: Source,
        plan: UploadPlan,
        numbers: Sequence[int],
        *,
        transfer_limit: TransferLimit,
        direct: DirectAccess,
    ) -> None:
        self._api = api
        self._source = source
        self._plan = plan
        self._transfer_limit = transfer_limit
        self._lock = threading.Lock()
        self._signed: dict[int, _SignedPart] = {}
        self._to_sign = sorted(numbers)
        self._direct = direct

    def send(self, number: int) -> int:
        """Send a part, and return its CRC32C.

        Raises:
            DirectUnavailableError: S3 cannot be reached, and no part was ever sent.
            NetworkError: there was no success for `retry_for_seconds`.
            IntegrityError: S3 received other bytes than were read.
        """
        first, length = self._plan.part_range(number)
        attempt, rejections = 0, 0
        while rejections < MAX_REJECTIONS:
            attempt += 1
            part = self._take_signed(number)
            body = SourceBody(self._source, first, length)
            try:
                with self._transfer_limit.acquire():
                    response = self._api.transport.send(HttpRequest("PUT", part.url, part.headers, body))
            except TransportError as error:
                self._api.on_break(error.sent_bytes)
                self._direct.record_failure(str(error), attempt)
                continue
            if response.status == 200:
                self._direct.record_success()
                return part.crc
            if response.status in RETRYABLE_STATUSES:
                self._direct.record_failure(f"S3 answered {response.status}", attempt)
            elif response.status == 400 and range_crc32c(self._source, first, length) != part.crc:
                raise IntegrityError(f"Part {number} of {self._plan.name} changed while it was sent. Send it again.")
            elif response.status not in (400, 403):
                raise NetworkError(f"S3 rejected part {number} with status {response.status}.")
            else:
                rejections += 1  # 403: the URL has expired. 400: bytes were damaged on their way.
        raise NetworkError(
            f"S3 rejected part {number} {MAX_REJECTIONS} times. Check this machine's clock and proxy: ferry doctor"
        )

    def _take_signed(self, number: int) -> _SignedPart:
        """Return a fresh URL of a part; the following parts are signed in the same request."""
        with self._lock:
            if number not in self._signed:
                ahead = [n for n in self._to_sign if n > number and n not in self._signed][: SIGNED_AHEAD - 1]
                self._sign([number, *ahead])
            self._to_sign = [n for n in self._to_sign if n > number]
            return self._signed.pop(number)

    def _sign(self, numbers: list[int]) -> None:
        crcs = {number: range_crc32c(self._source, *self._plan.part_range(number)) for number in numbers}
        members: dict[str, Any] = {
            "filename": self._plan.name,
            "upload_id": self._plan.upload_id,
            "parts": [
                {"part_number": n, "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(crc)}}
                for n, crc in crcs.items()
            ],
        }
        for part in self._api.request_json("POST", "/upload/parts", members).json()["parts"]:
            number = part["part_number"]
            self._signed[number] = _SignedPart(part["url"], part["headers"], crcs[number])
