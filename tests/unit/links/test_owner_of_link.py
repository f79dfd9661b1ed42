"""What the owner of a link does with uploads that came by it."""

from __future__ import annotations

from ferry.model.files import File, IfExists
from ferry.resumable.append import AppendRequest, append
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NS
from tests.unit.links.guest import BODY, Guest, assert_exact, begin, make, send


def test_completion_by_the_owner_is_recorded_before_it_is_answered() -> None:
    """A file that came by a link is in the activity and the counters, also if its owner sends the last request."""
    guest = Guest()
    begin(guest, guest.services())
    send(guest, guest.services())
    assert isinstance(complete(guest.fixture.services(), NS, CompleteRequest("in/a")), File)
    assert guest.usage.reservations == {}
    assert_exact(guest)


def test_last_append_by_the_owner_is_recorded_before_it_is_answered() -> None:
    """The same for a standard protocol, and for a repetition of the request."""
    guest = Guest()
    make(guest, guest.services())
    for _ in range(2):
        assert append(guest.fixture.services(), NS, AppendRequest(guest.ids[0], 0, BODY)).file is not None
        assert guest.usage.reservations == {}
        assert_exact(guest)


def test_start_by_the_owner_does_not_resume_an_upload_of_a_guest() -> None:
    """Under `rename` a start resumes what the same start began. That of a guest is another one, whatever it sends."""
    guest = Guest()
    begin(guest, guest.services())
    request = StartRequest("in/a", len(BODY), if_exists=IfExists.RENAME, fingerprint="x")
    for created in (True, False):
        result = start(guest.fixture.services(), NS, request)
        assert result.upload is not None
        assert (result.created, result.upload.record.name) == (created, "in/a (2)")
        assert result.upload.record.link_id is None
