"""What is counted of a namespace: in the transactions of the ledger, and later by an operator (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ferry.aws.ledger import DynamoLedger
from ferry.aws.quotas import DynamoQuotas
from ferry.model import File, Quota, State, Upload
from ferry.ports import Ledger, Moved
from ferry.quotas import Quotas
from tests.contract.rows import ID, NAME, NS, OTHER, THIRD, TTL, file_of, finished, opened, seen, session_of, take
from tests.fakes.clock import START
from tests.fakes.ledger import MemoryLedger
from tests.fakes.quotas import MemoryQuotas

SIZE = session_of().grid.size


@pytest.fixture
def quotas(ledger: Ledger) -> Quotas:
    """Over the same rows as the ledger."""
    if isinstance(ledger, MemoryLedger):
        return MemoryQuotas(ledger)
    assert isinstance(ledger, DynamoLedger)
    return DynamoQuotas(ledger._table._client, ledger._table._name)


def begin(ledger: Ledger, upload_id: str = ID, *, name: str = NAME) -> Upload:
    """An open upload that was counted as it began."""
    _, over, quota = ledger.look_up(NS, name)
    session = replace(session_of(upload_id, name=name), counted=True)
    ledger.begin(session, over=over, due=START + 1, within=quota)
    ledger.opened(upload_id, "multipart", due=START + 1)
    return seen(ledger, upload_id)


def finish(ledger: Ledger, upload_id: str = ID, *, name: str = NAME) -> File:
    """The file that a counted upload becomes."""
    take(ledger, begin(ledger, upload_id, name=name))
    session, over = seen(ledger, upload_id).session, ledger.file(NS, name)
    file = replace(file_of(upload_id, name=name), counted=session.counted)
    ledger.finish(session, file, over=over, stages_due=1, object_due=1, ttl=TTL)
    return file


def used(quotas: Quotas) -> tuple[int, int]:
    quota = quotas.quota(NS)
    assert quota is not None
    return quota.bytes, quota.uploads


def test_a_namespace_has_no_quota_until_it_is_given_one(ledger: Ledger, quotas: Quotas) -> None:
    """Limits can be set, changed and lifted; what is counted stays, and others are not concerned."""
    assert quotas.quota(NS) is None
    assert quotas.limit(NS, max_bytes=5, max_uploads=None, max_file=7) == Quota(5, None, 7, 0, 0)
    quotas.limit(NS, max_bytes=10 * SIZE, max_uploads=None, max_file=None)
    begin(ledger)
    assert quotas.limit(NS, max_bytes=None, max_uploads=3, max_file=None) == Quota(None, 3, None, SIZE, 1)
    assert quotas.quota(NS) == ledger.look_up(NS, NAME)[2] == Quota(None, 3, None, SIZE, 1)
    assert ledger.look_up("another", NAME)[2] is None


@pytest.mark.parametrize("limits", [{"max_bytes": 2 * SIZE}, {"max_uploads": 2}])
def test_what_is_reserved_is_within_the_limits(ledger: Ledger, quotas: Quotas, limits: dict[str, int]) -> None:
    """To the byte and to the upload; what is beyond them writes nothing at all."""
    quotas.limit(NS, **{"max_bytes": None, "max_uploads": None, "max_file": None} | limits)
    begin(ledger, ID)
    begin(ledger, OTHER, name="another")
    with pytest.raises(Moved):
        begin(ledger, THIRD, name="a third")
    assert ledger.upload(THIRD) is None
    assert ledger.slot(NS, "a third") is None
    assert used(quotas) == (2 * SIZE, 2)


def test_a_start_that_fails_for_another_reason_reserves_nothing(ledger: Ledger, quotas: Quotas) -> None:
    """All or nothing."""
    quotas.limit(NS, max_bytes=10 * SIZE, max_uploads=None, max_file=None)
    begin(ledger)
    quota = quotas.quota(NS)
    with pytest.raises(Moved):
        ledger.begin(replace(session_of(OTHER), counted=True), over=None, due=1, within=quota)
    assert used(quotas) == (SIZE, 1)


def test_an_upload_becomes_a_file(ledger: Ledger, quotas: Quotas) -> None:
    """The upload is released, its bytes are the file's; and once deleted nobody's."""
    quotas.limit(NS, max_bytes=10 * SIZE, max_uploads=1, max_file=None)
    finish(ledger)
    file = ledger.file(NS, NAME)
    assert file is not None
    assert file.counted
    assert used(quotas) == (SIZE, 0)
    ledger.delete_file(file, object_due=1, now=START)
    assert used(quotas) == (0, 0)
    with pytest.raises(Moved):
        ledger.delete_file(file, object_due=1, now=START)
    assert used(quotas) == (0, 0)


def test_a_replaced_file_releases_its_bytes_as_the_name_lets_go_of_it(ledger: Ledger, quotas: Quotas) -> None:
    """Until then both count."""
    quotas.limit(NS, max_bytes=2 * SIZE, max_uploads=None, max_file=None)
    finish(ledger, ID)
    upload = begin(ledger, OTHER)
    assert used(quotas) == (2 * SIZE, 1)
    ledger.end(upload, State.CANCELLED, now=START, ttl=TTL)
    finish(ledger, THIRD)
    assert used(quotas) == (SIZE, 0)


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED])
def test_an_end_releases_once(ledger: Ledger, quotas: Quotas, state: State) -> None:
    """The second is refused, as it would be without."""
    quotas.limit(NS, max_bytes=10 * SIZE, max_uploads=None, max_file=None)
    upload = begin(ledger)
    ledger.end(upload, state, now=START + 1, ttl=TTL)
    with pytest.raises(Moved):
        ledger.end(upload, state, now=START + 1, ttl=TTL)
    assert used(quotas) == (0, 0)


def test_what_was_never_counted_is_not_released(ledger: Ledger, quotas: Quotas) -> None:
    """Files and uploads from before the limit."""
    old = finished(ledger, ID)
    upload = opened(ledger, OTHER, name="another")
    quotas.limit(NS, max_bytes=10 * SIZE, max_uploads=None, max_file=None)
    ledger.end(upload, State.CANCELLED, now=START, ttl=TTL)
    finish(ledger, THIRD)
    assert used(quotas) == (SIZE, 0)
    assert ledger.file(NS, NAME) != old


def test_a_file_is_counted_later_and_once(ledger: Ledger, quotas: Quotas) -> None:
    """By its mark; whoever is about to replace or delete it must read it again."""
    quotas.limit(NS, max_bytes=1, max_uploads=None, max_file=None)
    uncounted = finished(ledger)
    quotas.count_file(uncounted)
    with pytest.raises(Moved):
        quotas.count_file(uncounted)
    assert used(quotas) == (SIZE, 0)
    with pytest.raises(Moved):
        ledger.delete_file(uncounted, object_due=1, now=START)
    file = ledger.file(NS, NAME)
    assert file == uncounted
    assert file.counted
    ledger.delete_file(file, object_due=1, now=START)
    with pytest.raises(Moved):
        quotas.count_file(file)
    assert used(quotas) == (0, 0)


def test_an_upload_is_counted_later_and_once(ledger: Ledger, quotas: Quotas) -> None:
    """Whoever has read it before can neither end nor complete it without reading again."""
    quotas.limit(NS, max_bytes=1, max_uploads=None, max_file=None)
    uncounted = opened(ledger)
    quotas.count_upload(uncounted.session)
    with pytest.raises(Moved):
        quotas.count_upload(uncounted.session)
    assert used(quotas) == (SIZE, 1)
    with pytest.raises(Moved):
        ledger.end(uncounted, State.CANCELLED, now=START, ttl=TTL)
    with pytest.raises(Moved):
        take(ledger, uncounted)
    upload = seen(ledger)
    assert upload.session.counted
    ledger.end(upload, State.CANCELLED, now=START, ttl=TTL)
    assert used(quotas) == (0, 0)


def test_an_upload_that_is_being_completed_is_not_counted(ledger: Ledger, quotas: Quotas) -> None:
    """Its holder believes what he has read. Nor is anything where there is no quota."""
    upload = opened(ledger)
    with pytest.raises(Moved):
        quotas.count_upload(upload.session)
    with pytest.raises(Moved):
        quotas.count_file(finished(ledger, OTHER, name="another"))
    quotas.limit(NS, max_bytes=1, max_uploads=None, max_file=None)
    take(ledger, upload)
    with pytest.raises(Moved):
        quotas.count_upload(upload.session)
    assert used(quotas) == (0, 0)
