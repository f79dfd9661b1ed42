"""Uploads by links over the handlers: names, limits, what is seen and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferry import wiring
from ferry.model.cleanup import CleanupTaskKind
from tests.integration.stack import OCTET_STREAM, Result, Stack
from tests.integration.upload_link import UploadLink


class Guest(UploadLink):
    """Someone with an upload link."""

    def __init__(self, stack: Stack, **members: Any) -> None:
        super().__init__(stack, **members)
        self.path = {"secret": self.secret}
        self.token: str = self.get_token().json["access_token"]

    def get_token(self) -> Result:
        return self.stack.request("POST /l/{secret}/token", path=self.path)

    def post(self, action: str, name: str, **members: Any) -> Result:
        body = {"filename": self.prefix + name, **members}
        return self.stack.post_json(f"POST /upload/{action}", body, token=self.token)

    def send_chunk(self, name: str, body: bytes, **query: str) -> Result:
        query = {"filename": self.prefix + name, "chunk_index": "1", **query}
        headers = {"content-type": OCTET_STREAM}
        return self.stack.request("POST /upload/chunk", query=query, headers=headers, body=body, token=self.token)

    def upload(self, name: str, body: bytes) -> Result:
        """Start, send and complete a file of one chunk, and return the response of the completion."""
        started = self.post("start", name, size=len(body))
        assert started.status == 201, started.body
        given = started.json["filename"].removeprefix(self.prefix)
        assert self.send_chunk(given, body).status == 200
        return self.post("complete", given)

    def cancel(self, name: str) -> Result:
        return self.stack.request("DELETE /upload", query={"filename": self.prefix + name}, token=self.token)

    def status(self, name: str) -> Result:
        return self.stack.request("GET /status", query={"filename": self.prefix + name}, token=self.token)


def test_guest_uploads_a_file(stack: Stack) -> None:
    """The file is the owner's, is counted, and is recorded once, also if complete is repeated."""
    guest = Guest(stack)
    done = guest.upload("a.txt", b"hello")
    assert (done.status, done.json["filename"]) == (200, f"{guest.prefix}a.txt")
    assert guest.post("complete", "a.txt").json == done.json
    assert stack.request("GET /download", query={"filename": f"{guest.prefix}a.txt"}).body == b"hello"
    assert guest.used == (1, 5)
    assert guest.activity == [("upload", f"{guest.prefix}a.txt", 5)]
    assert guest.status("a.txt").json["state"] == "complete"


def test_guest_sends_parts_to_s3(stack: Stack) -> None:
    """Parts are signed for uploads of the link."""
    guest = Guest(stack)
    guest.post("start", "big.bin", size=9 * 2**20)
    signed = guest.post("parts", "big.bin", parts=[{"part_number": 1}])
    assert (signed.status, len(signed.json["parts"])) == (200, 1)


def test_taken_name_is_stepped_over(stack: Stack) -> None:
    """Whatever has the name stays, also if it is the same content; the guest learns nothing of it."""
    guest = Guest(stack)
    stack.request("PUT /files", query={"filename": f"{guest.prefix}a.txt"}, body=b"hello")
    checksum = stack.request("GET /files", query={"filename": f"{guest.prefix}a.txt"}).json["checksum"]
    started = guest.post("start", "a.txt", size=5, checksum=checksum)
    assert (started.status, started.json["filename"]) == (201, f"{guest.prefix}a (2).txt")
    assert guest.status("a.txt").status == 404
    stack.post_json("POST /upload/start", {"filename": f"{guest.prefix}b.txt", "size": 1})
    assert guest.post("start", "b.txt", size=1).json["filename"] == f"{guest.prefix}b (2).txt"
    for got in (guest.send_chunk("b.txt", b"x"), guest.post("complete", "b.txt"), guest.cancel("b.txt")):
        assert (got.status, got.code) == (404, "upload_not_found")
    owner = stack.request("GET /status", query={"filename": f"{guest.prefix}b.txt"}).json
    assert guest.send_chunk("b.txt", b"x", upload_id=owner["upload_id"]).code == "upload_not_found"


def test_guests_of_two_links_do_not_see_each_other(stack: Stack) -> None:
    """Two links to one folder have uploads of their own, by name and by id."""
    first = Guest(stack)
    second = Guest(stack, prefix=first.prefix)
    started = first.post("start", "a.txt", size=5, fingerprint="x").json
    assert second.send_chunk("a.txt", b"hello", upload_id=started["upload_id"]).status == 404
    other = second.post("start", "a.txt", size=5, fingerprint="x")
    assert (other.status, other.json["filename"]) == (201, f"{first.prefix}a (2).txt")
    assert second.status("a.txt").status == 404
    again = first.post("start", "a.txt", size=5, fingerprint="x")
    assert (again.status, again.json["upload_id"]) == (200, started["upload_id"])


def test_names_outside_the_folder_return_404(stack: Stack) -> None:
    """A link takes names of its folder alone, and never replaces."""
    guest = Guest(stack)
    got = stack.post_json("POST /upload/start", {"filename": "elsewhere", "size": 1}, token=guest.token)
    assert (got.status, got.code) == (404, "not_found")
    assert guest.post("start", "a", size=1, if_exists="replace").status == 422
    assert stack.request("GET /status", token=guest.token).status == 403
    for key in ("GET /files", "GET /download"):
        assert stack.request(key, query={"filename": f"{guest.prefix}a"}, token=guest.token).status == 403


def test_limits_reject_what_does_not_fit(stack: Stack) -> None:
    """Too large is a 413 with what is left; nothing left is a 410. What was counted goes on to its end."""
    guest = Guest(stack, max_files=2, max_bytes=10)
    large = guest.post("start", "large", size=11)
    assert (large.status, large.code, large.json["left"]) == (413, "link_limit", {"files": 2, "bytes": 10})
    assert guest.upload("a", b"12345").status == 200
    assert guest.post("start", "b", size=5).status == 201
    used_up = guest.post("start", "c", size=0)
    assert (used_up.status, used_up.code) == (410, "link_used_up")
    assert guest.get_token().status == 200, "an upload that was counted is in progress"
    assert guest.send_chunk("b", b"12345").status == 200
    assert guest.post("complete", "b").status == 200
    assert guest.get_token().code == "link_used_up"
    assert stack.request("GET /l/{secret}", path=guest.path).code == "link_used_up"
    assert guest.used == (2, 10)


def test_cancelled_upload_gives_back_once(stack: Stack) -> None:
    """A cancelled upload gives back its file and its bytes; what began and was received stays counted."""
    guest = Guest(stack, max_files=1, max_bytes=10)
    for number in range(3):
        guest.post("start", "a", size=4)
        assert guest.used == (1, 4)
        assert guest.send_chunk("a", b"1234").status == 200
        for _ in range(2):
            assert guest.cancel("a").status == 204
        assert guest.used == (0, 0), number
    usage = wiring.links().repository.get_usages([guest.link["link_id"]])[guest.link["link_id"]]
    assert (usage.started, usage.received_bytes, usage.reservations) == (3, 12, {})


def test_repeated_start_takes_once(stack: Stack) -> None:
    """A start that resumes takes nothing of the limits again."""
    guest = Guest(stack, max_files=1)
    for status in (201, 200, 200):
        assert guest.post("start", "a", size=4, fingerprint="x").status == status
    assert guest.used == (1, 4)


def test_uploads_of_a_deleted_link_end(stack: Stack) -> None:
    """Once the link is deleted, its token is a 410 on every route of uploads."""
    guest = Guest(stack)
    guest.post("start", "a", size=4)
    stack.request("DELETE /links/{link_id}", path={"link_id": guest.link["link_id"]})
    stack.new_process()
    for got in (guest.send_chunk("a", b"1234"), guest.post("complete", "a"), guest.cancel("a"), guest.status("a")):
        assert (got.status, got.code) == (410, "link_revoked")


def test_sweep_gives_back_what_a_crash_left(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reservation without an upload is given back by the scheduled cleanup; that of an upload in progress stays."""
    guest = Guest(stack)
    link = wiring.links().repository.get_link(guest.link["link_id"])
    assert link is not None
    guest.post("start", "a", size=4)
    wiring.links().repository.reserve_upload(link, "f" * 32, 7, wiring.links().clock())
    assert guest.used == (2, 11)
    now = wiring.services().clock() + 3_700_000
    monkeypatch.setattr("ferry.wiring.wall_clock", lambda: now)
    stack.new_process()
    report = stack.invoke("cleanup", {"ferry": "sweep"})
    assert report["errors"] == 0, json.dumps(report)
    monkeypatch.undo()
    stack.new_process()
    assert guest.used == (1, 4)
    tasks = wiring.services().cleanup_repository.list_due_tasks(now + 3_700_000, None, 100).items
    assert (CleanupTaskKind.LINK, link.link_id) in [(task.kind, task.subject) for task in tasks]


def test_upload_that_an_instance_has_just_seen_stays_out_of_reach(stack: Stack) -> None:
    """What an instance keeps of the owner's upload, or of another link's, opens nothing to a guest."""
    guest = Guest(stack)
    other = Guest(stack, prefix=guest.prefix)
    query = {"filename": f"{guest.prefix}a", "chunk_index": "1"}
    members = {"filename": f"{guest.prefix}a", "size": 131_072, "chunk_size": 65_536}
    started = stack.post_json("POST /upload/start", members).json
    sent = stack.request("POST /upload/chunk", query=query, headers={"content-type": OCTET_STREAM}, body=bytes(65_536))
    assert sent.status == 200
    others = other.post("start", "b", size=131_072, chunk_size=65_536).json
    assert other.send_chunk("b", bytes(65_536)).status == 200
    for name, upload_id in (("a", started["upload_id"]), ("b", others["upload_id"])):
        for known in ({}, {"upload_id": upload_id}):
            got = guest.send_chunk(name, bytes(65_536), **{"chunk_index": "2", **known})
            assert (got.status, got.code) == (404, "upload_not_found")


def test_guest_cannot_replace_a_file_by_its_etag(stack: Stack) -> None:
    """An ETag, which can be computed from the content, replaces nothing by a link, and reveals nothing."""
    guest = Guest(stack)
    guest.post("start", "a", size=3)
    assert guest.send_chunk("a", b"new").status == 200
    query = {"filename": f"{guest.prefix}a"}
    owners = stack.request("PUT /files", query=query, headers={"content-type": OCTET_STREAM}, body=b"old")
    for etag in (owners.json["etag"], '"other"'):
        got = guest.post("complete", "a", if_match=etag)
        assert (got.status, got.code) == (422, "validation_failed")
    assert guest.post("complete", "a").json["filename"] == f"{guest.prefix}a (2)"
    assert stack.request("GET /download", query=query).body == b"old"
