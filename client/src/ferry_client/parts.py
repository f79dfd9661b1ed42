"""Send parts straight to S3, by presigned URLs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ferry_client.api import Api
from ferry_client.cancellation import new_thread
from ferry_client.checksums import crc32c_to_base64
from ferry_client.direct import MAX_REJECTIONS, DirectAccess
from ferry_client.errors import FerryError, IntegrityError, NetworkError, NotFoundError, unreadable_error
from ferry_client.members import header_map, integer, objects, parse_object, url
from ferry_client.retries import RETRYABLE_STATUSES
from ferry_client.secret_text import SecretText
from ferry_client.sources import SourceBody, range_crc32c
from ferry_client.transport import HttpRequest, TransportError

if TYPE_CHECKING:
    from ferry_client.models import UploadPlan
    from ferry_client.sources import Source
    from ferry_client.workers import TransferLimit

logger = logging.getLogger("ferry_client")

SIGNED_AT_FIRST = 2
"""Parts whose URLs are asked for in the first request. Nothing is sent until their CRC32C is known."""

SIGNED_AT_ONCE = 4
"""Parts whose URLs are asked for in each further request, while others are sent."""

SIGNED_AHEAD = 8
"""Most parts that are signed and not sent yet."""


@dataclass(frozen=True, slots=True)
class _SignedPart:
    """A part that S3 accepts."""

    url: str = field(repr=False)
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
        received_parts: Callable[[], set[int]],
    ) -> None:
        self._api = api
        self._source = source
        self._plan = plan
        self._transfer_limit = transfer_limit
        self._lock = threading.Lock()
        """Guards what follows."""
        self._signed: dict[int, _SignedPart] = {}
        self._to_sign = sorted(numbers)
        self._sign_lock = threading.Lock()
        """Held while parts are signed."""
        self._direct = direct
        self._received_parts = received_parts
        """Asks the service which parts S3 has."""

    def send(self, number: int) -> int:
        """Send a part, and return its CRC32C.

        Raises:
            DirectUnavailableError: S3 cannot be reached, and no part was ever sent.
            NetworkError: there was no success for `retry_for_seconds`.
            IntegrityError: S3 received other bytes than were read.
            NotFoundError: the upload has ended (`upload_ended`).
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
                if error.sent_bytes >= length and number in self._received_parts():
                    self._direct.record_success()  # Only the response was lost.
                    return part.crc
                self._direct.record_failure(str(error), attempt)
                continue
            if response.status == 200:
                self._direct.record_success()
                return part.crc
            if response.status in RETRYABLE_STATUSES:
                self._direct.record_failure(f"S3 responded with status {response.status}", attempt)
            elif response.status == 400 and range_crc32c(self._source, first, length) != part.crc:
                raise IntegrityError(f"Part {number} of {self._plan.name} changed while it was sent. Send it again.")
            elif response.status == 404:  # Another process completed the upload, or cancelled it.
                raise NotFoundError(404, "upload_ended", f"The upload of {self._plan.name} has ended.")
            elif response.status not in (400, 403):
                raise NetworkError(f"S3 rejected part {number} with status {response.status}.")
            else:
                rejections += 1  # 403: the URL has expired. 400: bytes were damaged in transit.
        raise NetworkError(
            f"S3 rejected part {number} {MAX_REJECTIONS} times. Check this machine's clock and proxy: ferry doctor"
        )

    def _take_signed(self, number: int) -> _SignedPart:
        """Return a fresh URL of a part; the following parts are signed in the same request, ahead of their turn."""
        part = self._pop_signed(number)
        if part is None:
            with self._sign_lock:
                part = self._pop_signed(number)
                if part is None:
                    self._sign([number, *self._next_to_sign(SIGNED_AT_FIRST - 1)])
                    part = self._pop_signed(number)
        assert part is not None
        if self._next_to_sign(1) and self._sign_lock.acquire(blocking=False):
            new_thread(self._sign_ahead, "ferry-sign").start()
        return part

    def _pop_signed(self, number: int) -> _SignedPart | None:
        with self._lock:
            return self._signed.pop(number, None)

    def _next_to_sign(self, count: int) -> list[int]:
        """Return the parts to sign next, at most `count`; none while enough are signed."""
        with self._lock:
            return self._to_sign[:count] if len(self._signed) < SIGNED_AHEAD else []

    def _sign_ahead(self) -> None:
        """Sign the next parts while others are sent. After a failure, the part whose turn comes is signed again."""
        try:
            numbers = self._next_to_sign(SIGNED_AT_ONCE)
            if numbers:
                self._sign(numbers)
        except (FerryError, OSError, ValueError) as error:  # The source may be closed already.
            logger.info("parts could not be signed ahead: %s", error)
        finally:
            self._sign_lock.release()

    def _sign(self, numbers: list[int]) -> None:
        """Request presigned URLs of parts, each bound to its CRC32C."""
        crcs = {number: range_crc32c(self._source, *self._plan.part_range(number)) for number in numbers}
        members: dict[str, Any] = {
            "filename": self._plan.name,
            "upload_id": self._plan.upload_id,
            "parts": [
                {"part_number": n, "checksum": {"algorithm": "crc32c", "value": crc32c_to_base64(crc)}}
                for n, crc in crcs.items()
            ],
        }
        response = parse_object(self._api.request_json("POST", "/upload/parts", members).body)
        signed = {
            integer(part, "part_number"): (SecretText(url(part, "url")), header_map(part, "headers"))
            for part in objects(response, "parts")
        }
        if signed.keys() != crcs.keys():
            raise unreadable_error("it has other parts than were asked for")
        with self._lock:
            for number, (address, headers) in signed.items():
                self._signed[number] = _SignedPart(address, headers, crcs[number])
            self._to_sign = [number for number in self._to_sign if number not in crcs]
