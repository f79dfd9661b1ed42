"""Status, waiting for news, and listings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from local.api import Api, escape, must, put_part
from tests.e2e.clients import CHUNK, MIB, chunk_of, problem, send, some_bytes, upload

FIELDS = {
    *("filename", "upload_id", "state", "size", "received_bytes", "percent", "chunk_size", "chunk_count", "missing"),
    *("next_offset", "created_at", "updated_at", "expires_at", "version"),
}


def test_status_follows_an_upload_to_its_end(api: Api, name: str) -> None:
    """Not found, pending, partial with what is missing, complete; the version only grows."""
    content = some_bytes(20 * MIB)
    assert problem(api.status(name)) == (404, "not_found")
    plan = api.start(name, len(content)).json
    pending = api.status(name).json
    assert pending.keys() == FIELDS
    assert (pending["state"], pending["missing"], pending["next_offset"]) == ("pending", [[1, 5]], 0)
    assert pending["upload_id"] == plan["upload_id"]

    send(api, name, content, [1, 4])
    partial = api.status(name).json
    assert (partial["state"], partial["missing"], partial["next_offset"]) == ("partial", [[2, 3], [5, 5]], CHUNK)
    assert (partial["received_bytes"], partial["percent"]) == (2 * CHUNK, 40.0)

    part = api.sign(name, 3).json["parts"][0]
    assert put_part(part, content[16 * MIB :]).status == 200
    assert api.status(name).json["missing"] == [[2, 3]]

    send(api, name, content, [2, 3])
    file = must(api.complete(name), 200, "complete").json
    complete = api.status(name).json
    assert (complete["state"], complete["missing"], complete["percent"]) == ("complete", [], 100.0)
    assert (complete["etag"], complete["checksum"]) == (file["etag"], file["checksum"])
    assert pending["version"] < partial["version"] < complete["version"]


def test_what_complete_says_is_missing_status_says_too(api: Api, name: str) -> None:
    """A client that is told to send more finds the same chunks by either route, whichever paths it took."""
    content = some_bytes(20 * MIB)
    api.start(name, len(content))
    send(api, name, content, [2])
    api.sign(name, 2)
    refused = api.complete(name)
    assert problem(refused) == (409, "upload_incomplete")
    assert refused.json["missing"] == api.status(name).json["missing"] == [[1, 1], [3, 5]]


def test_a_waiting_client_hears_of_the_next_chunk(api: Api, name: str) -> None:
    """?wait=&since= answers once something newer is known, and unchanged when the time is up."""
    content = some_bytes(2 * CHUNK)
    api.start(name, len(content))
    version = api.status(name).json["version"]
    began = time.monotonic()
    assert api.status(name, wait=1, since=version).json["version"] == version
    assert time.monotonic() - began >= 1
    assert api.status(name, wait=20, since=version - 1).json["version"] == version
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.status, name, wait=20, since=version)
        api.send_chunk(name, 1, chunk_of(content, 1))
        news = waiting.result().json
    assert news["version"] > version
    assert news["received_bytes"] == CHUNK
    assert time.monotonic() - began < 10


def test_a_status_that_the_client_has_is_304(api: Api, name: str) -> None:
    """The status has an ETag of its own, which changes with it."""
    api.start(name, 2 * CHUNK)
    first = api.status(name)
    path = f"/status/{escape(name)}"
    same = api.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    api.send_chunk(name, 2, bytes(CHUNK))
    assert api.request("GET", path, headers={"If-None-Match": first.headers["etag"]}).status == 200


def test_a_new_upload_of_a_finished_name_shows_both(api: Api, name: str) -> None:
    """The upload's status, with the finished file under current_file."""
    file = upload(api, name, some_bytes(10))
    api.start(name, 20, if_exists="replace")
    status = api.status(name).json
    assert (status["state"], status["size"], status["current_file"]) == ("pending", 20, file)


def test_listings_page_by_page(other: Api) -> None:
    """Files by name with prefix and cursor; uploads in progress with a cursor; both only of the namespace."""
    names = [f"list/{index}".replace("/", "-") for index in range(5)]
    for name in names:
        upload(other, name, some_bytes(3))
    found: list[str] = []
    target = "/files?prefix=list-&limit=2"
    while target:
        page = other.request("GET", target).json
        assert len(page["files"]) <= 2
        found += [file["filename"] for file in page["files"]]
        target = f"/files?prefix=list-&limit=2&cursor={escape(page['cursor'])}" if "cursor" in page else ""
    assert found == names

    for name in names:
        assert other.request("DELETE", f"/files/{name}").status == 204
        assert other.start(f"open-{name}", 5).status == 201
    uploads: set[str] = set()
    target = "/status?limit=2"
    while target:
        page = other.request("GET", target).json
        uploads |= {entry["filename"] for entry in page["uploads"]}
        target = f"/status?limit=2&cursor={escape(page['cursor'])}" if "cursor" in page else ""
    assert uploads == {f"open-{name}" for name in names}
    for name in names:
        assert other.request("DELETE", f"/upload/open-{name}").status == 204


def test_cleanup_by_an_administrator(other: Api, reader: Api, api: Api, name: str) -> None:
    """A dry run changes nothing; the real one ends the stale upload only; other namespaces are out of reach."""
    finished, mine = some_bytes(70_000, seed=8), f"mine-{name}"
    upload(other, f"done-{name}", finished)
    api.start(mine, CHUNK)
    other.start(name, 2 * CHUNK)
    other.send_chunk(name, 1, bytes(CHUNK))
    dry = other.request("DELETE", "/cleanup?older_than=0&dry_run=true")
    assert dry.status == 200
    assert (dry.json["expired"], dry.json["bytes_reclaimed"], dry.json["dry_run"]) == (1, CHUNK, True)
    assert other.status(name).json["state"] == "partial"
    assert other.request("DELETE", "/cleanup").json["expired"] == 0
    assert other.request("DELETE", f"/cleanup?older_than=0&filename=not-{name}").json["expired"] == 0

    report = other.request("DELETE", "/cleanup?older_than=0").json
    assert report.keys() >= {"examined", "expired", "bytes_reclaimed", "orphans", "errors", "complete", "dry_run"}
    assert report["orphans"].keys() == {"multipart_uploads", "staged_objects", "objects"}
    assert (report["expired"], report["bytes_reclaimed"], report["errors"], report["complete"]) == (1, CHUNK, 0, True)
    assert other.status(name).json["state"] == "expired"
    assert problem(other.send_chunk(name, 1, bytes(CHUNK))) == (410, "upload_expired")
    assert other.request("DELETE", "/cleanup?older_than=0").json["expired"] == 0
    assert other.download(f"done-{name}").body == finished
    assert api.status(mine).json["state"] == "pending"
    assert problem(reader.request("DELETE", "/cleanup")) == (403, "insufficient_scope")
    assert api.request("DELETE", f"/upload/{mine}").status == 204
