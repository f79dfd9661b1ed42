"""One attempt to complete an upload, under a lease that no other attempt holds at the same time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import assert_never

from ferry.errors import BackendUnavailable
from ferry.model.files import File
from ferry.model.objects import StoredObject
from ferry.model.uploads import Upload, UploadRecord
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.uploads.build_object import PartsByNumber, build_object
from ferry.uploads.commit import CompletionOptions, commit_file
from ferry.uploads.outcomes import (
    Built,
    Committed,
    CompletionOutcome,
    Failed,
    OutOfTime,
    PartialBuilt,
    PriorAttemptPending,
    Rejected,
)

logger = logging.getLogger(__name__)

ASYNC_RETRY_AFTER_SECONDS = 5
"""Seconds until the client should ask again about a completion that continues asynchronously."""

WAIT_FOR_LEASE_SECONDS = 8
"""How long a request waits for another request's completion.

Short enough that its own attempt still ends before the function's timeout of 29 s.
"""

LEASE_POLL_SECONDS = 0.5
"""Pause between two checks of that completion."""

LEASED_RETRY_AFTER_SECONDS = 2
"""Seconds until the client should ask again about a completion that another request is working on.

Longer than the `Retry-After` of an error (1 s): this request has already waited `WAIT_FOR_LEASE_SECONDS`.
"""


@dataclass(frozen=True, slots=True)
class CompletionAccepted:
    """The completion is not finished yet and continues without the client."""

    upload_id: str
    """The upload that is being completed."""
    retry_after_seconds: int
    """Seconds until the client should ask again. 0: a partial upload, whose object is built."""


def complete_under_lease(
    services: Services,
    upload: Upload,
    options: CompletionOptions,
    *,
    previous_lease_id: str | None = None,
    listed_parts: PartsByNumber | None = None,
    keep_lease_on_failure: bool = False,
) -> File | CompletionAccepted:
    """Acquire the lease, build the object, commit the file.

    Args:
        services: the backends.
        upload: the upload as read. Acquiring the lease closes its shards, and fails if anything was recorded since.
        options: what the completion was asked for.
        previous_lease_id: the lease to take over before it expires, if its holder enqueued the completion.
        listed_parts: the parts of the upload, if they were listed after it was read.
        keep_lease_on_failure: whether a backend failure leaves the lease to expire, so that cleanup tries again.
            Otherwise the upload opens again at once, and its client tries again.

    Raises:
        ConcurrentUpdate: the upload is no longer as read, or another attempt took the lease over.
        UploadIncomplete, ChecksumMismatch, FileExists: the upload is open again.
        UploadExpired: the bytes are gone, and the upload is expired.
        BackendUnavailable: a backend failed.
    """
    lease_id = services.new_id()
    try:
        leased = _acquire_lease(services, upload, options, lease_id, previous_lease_id)
    except BackendUnavailable as error:
        # The call may have acquired the lease before it failed, so the lease is released like any other.
        leased = replace(upload, record=replace(upload.record, lease_id=lease_id))
        outcome: CompletionOutcome = Failed(error, upload.record.stored_object)
    else:
        has_prior_attempt = upload.record.first_leased_at is not None
        outcome = _build_and_commit(services, leased, options, listed_parts, has_prior_attempt=has_prior_attempt)
    return _settle(services, leased, outcome, keep_lease_on_failure=keep_lease_on_failure)


def continue_under_lease(services: Services, leased: Upload, options: CompletionOptions) -> File | CompletionAccepted:
    """Build the object and commit the file under a lease that the caller has just taken, the first of its upload.

    Raises what `complete_under_lease` raises.
    """
    outcome = _build_and_commit(services, leased, options, None, has_prior_attempt=False)
    return _settle(services, leased, outcome, keep_lease_on_failure=False)


def _acquire_lease(
    services: Services, upload: Upload, options: CompletionOptions, lease_id: str, previous_lease_id: str | None
) -> Upload:
    """Return the upload under the new lease. Raises `ConcurrentUpdate` if it is no longer as read."""
    now = services.clock()
    return services.upload_repository.acquire_lease(
        upload,
        lease_id=lease_id,
        expires_at=now + services.lease_duration_ms,
        now=now,
        if_exists=options.if_exists,
        crc32c=options.crc32c,
        if_match=options.if_match,
        previous_lease_id=previous_lease_id,
    )


def _build_and_commit(
    services: Services,
    leased: Upload,
    options: CompletionOptions,
    listed_parts: PartsByNumber | None,
    *,
    has_prior_attempt: bool,
) -> CompletionOutcome:
    """Build the object and commit the file. The caller must release the lease unless the outcome is `Committed`.

    Raises:
        UploadExpired: as `complete_under_lease`; the upload has no lease any more.
    """
    stored_object = leased.record.stored_object
    try:
        if stored_object is None:
            result = build_object(
                services, leased, options.crc32c, has_prior_attempt=has_prior_attempt, listed_parts=listed_parts
            )
            if not isinstance(result, Built):
                return result
            stored_object = result.stored_object
        if leased.record.is_partial:
            return PartialBuilt(stored_object)
        return commit_file(services, leased.record, stored_object, options)
    except BackendUnavailable as error:
        return Failed(error, stored_object)


def _settle(
    services: Services, leased: Upload, outcome: CompletionOutcome, *, keep_lease_on_failure: bool
) -> File | CompletionAccepted:
    """Keep or release the lease, then return the result or raise the error."""
    match outcome:
        case Committed():
            return outcome.file
        case PartialBuilt():
            _release_lease(services, leased, outcome.stored_object)
            return CompletionAccepted(leased.record.upload_id, 0)
        case OutOfTime():
            _enqueue(services, leased.record)
            return CompletionAccepted(leased.record.upload_id, ASYNC_RETRY_AFTER_SECONDS)
        case PriorAttemptPending():
            return CompletionAccepted(leased.record.upload_id, max(1, services.lease_duration_ms // SECOND_MS))
        case Rejected():
            _release_lease(services, leased, outcome.stored_object, outcome.lost_chunks)
            raise outcome.error
        case Failed():
            if not (keep_lease_on_failure and _may_be_repeated(services, leased.record, outcome.stored_object)):
                with suppress(ConcurrentUpdate):
                    _release_lease(services, leased, outcome.stored_object)
            raise outcome.error
        case _:
            assert_never(outcome)


def _enqueue(services: Services, record: UploadRecord) -> None:
    """Continue the completion asynchronously. The cleanup function takes over this lease by its id.

    If the queue fails, the lease expires, and cleanup or the client's next request continues.
    """
    try:
        services.completion_queue.enqueue(record.upload_id, record.lease_id or "")
    except BackendUnavailable as error:
        logger.warning("upload %s: completion was not enqueued: %s", record.upload_id, error.__cause__ or error)


def _may_be_repeated(services: Services, record: UploadRecord, stored_object: StoredObject | None) -> bool:
    """Return whether cleanup may try again: within the greatest age of an upload, and always with an object."""
    return stored_object is not None or services.clock() < record.created_at + record.max_age_ms


def _release_lease(
    services: Services, leased: Upload, stored_object: StoredObject | None, lost_chunks: Sequence[int] = ()
) -> None:
    """Open the upload again. If the backend fails, the lease expires instead.

    Raises:
        ConcurrentUpdate: another attempt took the lease over, and its outcome counts instead of this one.
    """
    with suppress(BackendUnavailable):
        services.upload_repository.release_lease(
            leased,
            lease_id=leased.record.lease_id or "",
            stored_object=stored_object,
            lost_chunks=lost_chunks,
            due_at=leased.expires_at,
        )
