"""The standard protocols by a link: below its address without a token, and at `/uploads` with its token."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ferry import wiring
from ferry.rules.durations import HOUR_MS
from tests.integration.stack import Stack
from tests.integration.upload_link import UploadLink
from tests.support.protocol_client import DRAFT_TYPE, ProtocolClient, by_secret, draft_client, tus_client


class Guest(UploadLink):
    """Someone with an upload link, and a client of each protocol below its address."""

    def __init__(self, stack: Stack, **members: Any) -> None:
        super().__init__(stack, **members)
        self.tus = by_secret(tus_client(stack), self.secret)
        self.draft = by_secret(draft_client(stack), self.secret)

    def token(self, password: str | None = None) -> str:
        body = {} if password is None else {"password": password}
        got = self.stack.post_json("POST /l/{secret}/token", body, path={"secret": self.secret})
        return str(got.json["access_token"])

    def tus_by_token(self, password: str | None = None) -> ProtocolClient:
        client = tus_client(self.stack)
        client.options["token"] = self.token(password)
        return client

    def content(self, name: str) -> bytes:
        return self.stack.request("GET /download", query={"filename": self.prefix + name}).body


def named(name: str) -> dict[str, str]:
    return {"upload-metadata": f"filename {base64.b64encode(name.encode()).decode()}"}


def test_guest_uploads_by_tus(stack: Stack) -> None:
    """Name and Ferry-Filename are relative to the folder, Location is below the link; the file is recorded once."""
    guest = Guest(stack)
    created = guest.tus.create(headers=named("a/ü.txt"), upload_length="5")
    assert (created.status, created.headers["ferry-filename"]) == (201, "a/%C3%BC.txt")
    upload_id = guest.tus.upload_id(created)
    assert created.headers["location"].endswith(f"/l/{guest.secret}/uploads/{upload_id}")
    assert guest.tus.patch(upload_id, 0, b"hel").headers["upload-offset"] == "3"
    for _ in range(2):
        assert guest.tus.patch(upload_id, 3, b"lo").status == 204
    found = guest.tus.head(upload_id)
    assert (found.headers["upload-offset"], found.headers["ferry-filename"]) == ("5", "a/%C3%BC.txt")
    assert guest.content("a/ü.txt") == b"hello"
    assert (guest.used, guest.activity) == ((1, 5), [("upload", f"{guest.prefix}a/ü.txt", 5)])
    assert guest.tus.delete(upload_id).headers["ferry-filename"] == "a/%C3%BC.txt"
    assert guest.used == (1, 5)


def test_guest_uploads_by_the_draft(stack: Stack) -> None:
    """The draft works below the link, too, with a length that nothing declares."""
    guest = Guest(stack)
    created = guest.draft.create(b"he", query={"filename": "b.txt"}, upload_complete="?0")
    assert (created.status, created.headers["ferry-filename"]) == (201, "b.txt")
    upload_id = guest.draft.upload_id(created)
    assert (guest.used, guest.draft.head(upload_id, "GET").headers["upload-offset"]) == ((1, 2), "2")
    assert guest.draft.patch(upload_id, 2, b"llo", upload_complete="?1").status == 204
    assert (guest.used, guest.content("b.txt")) == ((1, 5), b"hello")
    whole = guest.draft.create(b"hello", query={"filename": "b.txt"}, upload_complete="?1")
    assert whole.headers["ferry-filename"] == "b%20%282%29.txt", "a repeated creation is another file"
    assert guest.used == (2, 10)


def test_every_answer_below_a_link_is_private(stack: Stack) -> None:
    """Successes, errors and capabilities say no-store, no-referrer and noindex."""
    guest = Guest(stack)
    path = {"secret": guest.secret}
    created = guest.tus.create(upload_length="5")
    upload_id = guest.tus.upload_id(created)
    answers = [
        created,
        stack.request("OPTIONS /l/{secret}/uploads", path=path),
        stack.request("OPTIONS /l/{secret}/uploads/{upload_id}", path={**path, "upload_id": upload_id}),
        guest.tus.head(upload_id),
        guest.tus.patch(upload_id, 9, b"x"),
        guest.tus.head("unknown"),
        by_secret(guest.tus, "x" * 43).create(upload_length="1"),
        guest.tus.create(upload_length="1", upload_concat="other"),
        guest.tus.delete(upload_id),
    ]
    assert [each.status for each in answers] == [201, 200, 200, 200, 409, 404, 404, 400, 204]
    for each in answers:
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["x-robots-tag"] == "noindex, nofollow"


def test_names_stay_in_the_folder(stack: Stack) -> None:
    """A name cannot leave the folder; a taken one is stepped over, and `replace` is a 422."""
    guest = Guest(stack)
    stack.request("PUT /files", query={"filename": f"{guest.prefix}a.txt"}, body=b"owner's")
    for name in ("../x", "a/../../x", "//x", "a//b", "x/", ".", "é" * 500):
        assert guest.tus.create(headers=named(name), upload_length="1").status == 422, name
    for if_exists in ({}, {"if_exists": "fail"}, {"if_exists": "rename"}):
        created = guest.tus.create(query=if_exists, headers=named("a.txt"), upload_length="1")
        assert created.headers["ferry-filename"].startswith("a%20%28")
    assert guest.tus.create(query={"if_exists": "replace"}, headers=named("a.txt"), upload_length="1").status == 422
    assert guest.content("a.txt") == b"owner's"
    unnamed = guest.tus.create(upload_length="0")
    assert unnamed.headers["ferry-filename"] == guest.tus.upload_id(unnamed)
    assert guest.content(guest.tus.upload_id(unnamed)) == b""


def test_same_bytes_do_not_find_the_owners_file(stack: Stack) -> None:
    """A whole file that the owner has in the folder is sent again, so that the guest learns nothing of it."""
    guest = Guest(stack)
    stack.request(
        "PUT /files",
        query={"filename": f"{guest.prefix}a.txt"},
        headers={"content-type": "application/octet-stream"},
        body=b"same",
    )
    created = guest.tus.create(b"same", headers=named("a.txt"), upload_length="4")
    assert (created.status, created.headers["ferry-filename"]) == (201, "a%20%282%29.txt")


def test_uploads_of_others_are_a_404(stack: Stack) -> None:
    """A link has the uploads that came by it alone, below its address and with its token."""
    guest, other = Guest(stack), Guest(stack)
    owners = tus_client(stack)
    foreign = [
        owners.upload_id(owners.create(headers=named(f"{guest.prefix}own"), upload_length="5")),
        other.tus.upload_id(other.tus.create(upload_length="5")),
    ]
    for client in (guest.tus, guest.tus_by_token()):
        for upload_id in foreign:
            answers = [client.head(upload_id), client.patch(upload_id, 0, b"x"), client.delete(upload_id)]
            assert [each.status for each in answers] == [404, 404, 404]
    mine = guest.tus.upload_id(guest.tus.create(upload_length="5"))
    assert guest.tus_by_token().patch(mine, 0, b"hello").status == 204


def test_token_of_a_link_has_whole_names(stack: Stack) -> None:
    """At `/uploads`, names are whole, and others are a 404; a name that is not given is in the folder."""
    guest = Guest(stack)
    tus = guest.tus_by_token()
    created = tus.create(headers=named(f"{guest.prefix}a.txt"), upload_length="1")
    assert created.headers["ferry-filename"] == guest.prefix.replace(" ", "%20") + "a.txt"
    assert created.headers["location"].endswith(f"/uploads/{tus.upload_id(created)}")
    assert "/l/" not in created.headers["location"]
    for name in ("a.txt", "other/a.txt", guest.prefix[:-1]):
        assert tus.create(headers=named(name), upload_length="1").status == 404
    unnamed = tus.create(upload_length="1")
    assert unnamed.headers["ferry-filename"].endswith("/" + tus.upload_id(unnamed))
    assert tus.create(query={"if_exists": "replace"}, upload_length="1").status == 422
    download = stack.post_json("POST /links", {"kind": "download", "prefix": guest.prefix}).json
    path = {"secret": download["url"].rpartition("/")[2]}
    token = stack.request("POST /l/{secret}/token", path=path).json["access_token"]
    assert stack.request("POST /uploads", token=token, headers={"tus-resumable": "1.0.0"}).status == 403
    assert by_secret(guest.tus, path["secret"]).create(upload_length="1").code == "link_forbidden"


def test_bearer_token_beside_the_secret_changes_nothing(stack: Stack) -> None:
    """Below the link, the token of a client opens no upload of its own, and a wrong one closes none."""
    guest, owners = Guest(stack), tus_client(stack)
    own = owners.upload_id(owners.create(upload_length="5"))
    assert guest.tus.head(own, authorization=f"Bearer {stack.token()}").status == 404
    assert guest.tus.create(upload_length="1", authorization="Bearer wrong").status == 201


def test_link_with_a_password_needs_a_token(stack: Stack) -> None:
    """Below the address of a link with a password, all but OPTIONS is a 401; with its token, `/uploads` takes it."""
    guest = Guest(stack, password="correct horse")
    assert stack.request("OPTIONS /l/{secret}/uploads", path={"secret": guest.secret}).status == 200
    answers = [guest.tus.create(upload_length="1"), guest.tus.head("x"), guest.tus.patch("x", 0, b"x")]
    assert [(each.status, each.headers["tus-resumable"]) for each in answers] == [(401, "1.0.0")] * 3
    assert guest.tus_by_token("correct horse").create(upload_length="0").status == 201


def test_limits_hold_for_uploads_of_known_size(stack: Stack) -> None:
    """What does not fit is a 413 with what is left, then a 410; what was counted goes on to its end."""
    guest = Guest(stack, max_files=2, max_bytes=10)
    large = guest.tus.create(upload_length="11")
    assert (large.status, large.code, large.json["left"]) == (413, "link_limit", {"files": 2, "bytes": 10})
    first, second = (guest.tus.upload_id(guest.tus.create(upload_length="5")) for _ in range(2))
    for client in (guest.tus, guest.tus_by_token()):
        used_up = client.create(upload_length="0")
        assert (used_up.status, used_up.code) == (410, "link_used_up")
    for upload_id in (first, second):
        assert guest.tus.patch(upload_id, 0, b"12345").status == 204
    assert (guest.used, stack.request("GET /l/{secret}", path={"secret": guest.secret}).code) == (
        (2, 10),
        "link_used_up",
    )


def test_limits_hold_for_uploads_of_unknown_size(stack: Stack) -> None:
    """An upload of unknown size takes what it grows by. What does not fit is not stored, and the upload goes on."""
    guest = Guest(stack, max_files=2, max_bytes=10)
    upload_id = guest.tus.upload_id(guest.tus.create(upload_defer_length="1"))
    assert guest.used == (1, 0)
    assert guest.tus.patch(upload_id, 0, b"123456").status == 204
    assert guest.used == (1, 6)
    large = guest.tus.patch(upload_id, 6, b"78901")
    assert (large.status, large.json["left"]) == (413, {"files": 1, "bytes": 4})
    assert guest.tus.patch(upload_id, 6, b"", upload_length="11").status == 413
    assert guest.tus.patch(upload_id, 6, b"7890").status == 204
    assert (guest.used, guest.tus.patch(upload_id, 10, b"x").code) == ((1, 10), "link_used_up")
    assert guest.tus.create(upload_length="0").code == "link_used_up"
    assert guest.tus.patch(upload_id, 10, b"", upload_length="10").status == 204
    assert guest.tus.patch(upload_id, 10, b"").status == 204
    assert guest.used == (1, 10)


def test_creation_whose_bytes_do_not_fit_leaves_no_upload(stack: Stack) -> None:
    """Of unknown length, with bytes over the limit, a creation is rejected, and the link's file is not used up."""
    guest = Guest(stack, max_files=1, max_bytes=3)
    for rejected in (
        guest.tus.create(b"1234", upload_defer_length="1"),
        guest.draft.create(b"1234", upload_complete="?0"),
    ):
        assert (rejected.status, rejected.code) == (413, "link_limit")
        assert guest.used == (0, 0)
    assert guest.draft.create(b"123", upload_complete="?0").status == 201


def test_cancelled_upload_gives_back(stack: Stack) -> None:
    """DELETE gives back file and bytes, but neither what began nor what was received."""
    guest = Guest(stack, max_files=1, max_bytes=10)
    for number in range(2):
        upload_id = guest.tus.upload_id(guest.tus.create(upload_length="10"))
        assert guest.tus.patch(upload_id, 0, b"123456789").status == 204
        assert guest.tus.delete(upload_id).status == 204
        assert guest.used == (0, 0), number
    last = guest.tus.create(upload_length="10")
    assert (last.status, last.json["left"]) == (413, {"files": 1, "bytes": 2})
    for _ in range(8):
        assert guest.tus.delete(guest.tus.upload_id(guest.tus.create(upload_length="1"))).status == 204
    assert guest.tus.create(upload_length="1").code == "link_used_up"


def test_final_upload_counts_once(stack: Stack) -> None:
    """Partial uploads take their bytes, the final one a file; it takes partial uploads of its link alone."""
    guest, other = Guest(stack, max_files=1, max_bytes=10), Guest(stack)
    partials = []
    for body in (b"hello", b"world"):
        created = guest.tus.create(body, upload_length="5", upload_concat="partial")
        assert "ferry-filename" not in created.headers
        partials.append(created.headers["location"])
    assert guest.used == (0, 10)
    foreign = other.tus.create(b"x", upload_length="1", upload_concat="partial").headers["location"]
    rejected = guest.tus.create(upload_concat=f"final;{partials[0]} {foreign}")
    assert (rejected.status, rejected.code) == (400, "invalid_partial_upload")
    assert tus_client(stack).create(upload_concat=f"final;{foreign}").code == "invalid_partial_upload"
    for client in (guest.tus, guest.tus_by_token()):
        twice = client.create(upload_concat=f"final;{partials[0]} {partials[1]} {partials[1]}")
        assert twice.code == "link_used_up", "bytes that are in the file twice were counted once"
    value = f"final;{' '.join(partials)}"
    final = guest.tus.create(headers=named("whole"), upload_concat=value)
    assert (final.status, guest.used, guest.content("whole")) == (201, (1, 10), b"helloworld")
    assert guest.tus.head(guest.tus.upload_id(final)).headers["upload-concat"] == value
    assert guest.activity == [("upload", f"{guest.prefix}whole", 10)]
    for partial in partials:
        assert guest.tus.delete(partial.rpartition("/")[2]).status == 204
    assert guest.used == (1, 10), "the bytes are those of the file"


def test_secret_is_in_no_row(stack: Stack) -> None:
    """The URLs of partial uploads are stored without the secret that is in them."""
    guest = Guest(stack)
    partial = guest.tus.create(b"hello", upload_length="5", upload_concat="partial").headers["location"]
    finals = [client.create(upload_concat=f"final;{partial}") for client in (guest.tus, guest.tus_by_token())]
    assert [each.status for each in finals] == [201, 201]
    table = wiring.settings().metadata_table
    assert guest.secret not in str(wiring.aws_session().dynamodb.scan(TableName=table)["Items"])
    upload_id = finals[1].headers["location"].rpartition("/")[2]
    assert guest.secret not in str(guest.tus_by_token().head(upload_id).headers)


def test_uploads_of_an_ended_link_end(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the link has expired or was deleted, every request is a 410, for the draft, too."""
    guest, expired = Guest(stack), Guest(stack, expires_in=60)
    uploads = [(each, each.tus.upload_id(each.tus.create(upload_length="5"))) for each in (guest, expired)]
    tokens = [each.tus_by_token() for each in (guest, expired)]
    stack.request("DELETE /links/{link_id}", path={"link_id": guest.link["link_id"]})
    stack.new_process()
    now = wiring.services().clock() + 61_000
    monkeypatch.setattr(wiring.links(), "clock", lambda: now)
    for (each, upload_id), client, code in zip(uploads, tokens, ("link_revoked", "link_expired"), strict=True):
        answers = [each.tus.create(upload_length="1"), each.tus.patch(upload_id, 0, b"x"), each.tus.delete(upload_id)]
        answers += [client.create(upload_length="1"), client.patch(upload_id, 0, b"x"), client.delete(upload_id)]
        answers.append(each.draft.create(b"x", upload_complete="?1", content_type=DRAFT_TYPE))
        assert [(got.status, got.code) for got in answers] == [(410, code)] * 7
        assert each.tus.head(upload_id).status == 410


def test_expired_upload_gives_back(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep gives back what an abandoned upload took, and what an append took that stored nothing."""
    guest = Guest(stack, max_bytes=100)
    deferred, known = guest.tus.create(upload_defer_length="1"), guest.tus.create(upload_length="7")
    upload_id = guest.tus.upload_id(deferred)
    assert guest.tus.patch(upload_id, 0, b"123").status == 204
    repository, link = wiring.links().repository, wiring.links().repository.get_link(guest.link["link_id"])
    assert link is not None
    assert repository.grow_upload(link, upload_id, from_size=3, size=50, now=wiring.services().clock())
    assert (known.status, guest.used) == (201, (2, 57))
    for hours, used in ((2, (2, 10)), (30, (0, 0))):
        now = wiring.services().clock() + hours * HOUR_MS
        monkeypatch.setattr("ferry.wiring.wall_clock", lambda now=now: now)
        for _ in range(2):
            stack.new_process()
            assert stack.invoke("cleanup", {"ferry": "sweep"})["errors"] == 0
        monkeypatch.undo()
        stack.new_process()
        assert guest.used == used


def test_status_and_cancel_by_name_find_the_uploads_of_the_link(stack: Stack) -> None:
    """With a token of the link, the status names an upload that was created at `/uploads`, and no other's."""
    guest = Guest(stack)
    upload_id = guest.tus.upload_id(guest.tus.create(headers=named("a"), upload_length="5"))
    query = {"filename": f"{guest.prefix}a"}
    found = stack.request("GET /status", query=query, token=guest.token())
    assert (found.status, found.json["upload_id"]) == (200, upload_id)
    assert stack.request("GET /status", query=query, token=Guest(stack, prefix=guest.prefix).token()).status == 404
    assert stack.request("DELETE /upload", query=query, token=guest.token()).status == 204
    assert (guest.tus.head(upload_id).status, guest.used) == (404, (0, 0))
