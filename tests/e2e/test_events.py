"""The events of the API, read from the local service's event file."""

from __future__ import annotations

import json
from typing import Any

from dev.local.client import FerryClient, expect
from dev.local.launcher import LocalService
from dev.testing.event_schema import assert_valid_detail
from tests.e2e.clients import random_bytes, upload_file, wait_until


def events_for(service: LocalService, name: str) -> list[dict[str, Any]]:
    """Return the details of the events about a file, in the order of publication."""
    path = service.state_folder / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    events = [json.loads(line) for line in lines]
    details = [event["detail"] for event in events if event["detail"].get("filename") == name]
    for detail in details:
        assert_valid_detail(detail)
    return details


def test_events_file_lifecycle_published_once(api: FerryClient, service: LocalService, name: str) -> None:
    """Each event is published once, before the response, with the file's description."""
    metadata = {"customer": "Ångström"}
    first = upload_file(api, name, random_bytes(100), metadata=metadata, content_type="text/plain")
    second = upload_file(api, name, random_bytes(200, seed=2), if_exists="replace")
    expect(api.request("DELETE", f"/files/{name}"), 204, "delete")
    details = events_for(service, name)
    assert [(detail["type"], detail["upload_id"]) for detail in details] == [
        ("ferry.upload.started", first["upload_id"]),
        ("ferry.upload.completed", first["upload_id"]),
        ("ferry.upload.started", second["upload_id"]),
        ("ferry.upload.completed", second["upload_id"]),
        ("ferry.file.deleted", second["upload_id"]),
    ]
    _, completed, _, replacing, _ = details
    for member in ("size", "etag", "checksum", "content_type", "metadata"):
        assert completed[member] == first[member]
    assert (completed["namespace"], completed["time"]) == ("demo", first["uploaded_at"])
    assert replacing["replaced_upload_id"] == first["upload_id"]


def test_events_cancelled_upload_published_once(api: FerryClient, service: LocalService, name: str) -> None:
    """An upload's start and its cancellation are published; a repeated cancellation is not."""
    expect(api.start(name, 5), 201, "start")
    for _ in range(2):
        expect(api.request("DELETE", f"/upload/{name}"), 204, "cancel")
    assert [detail["type"] for detail in events_for(service, name)] == [
        "ferry.upload.started",
        "ferry.upload.cancelled",
    ]


def test_events_upload_ended_by_cleanup_is_expired(api: FerryClient, service: LocalService, name: str) -> None:
    """An upload that the cleanup route ends is published as expired."""
    expect(api.start(name, 5), 201, "start")
    # Published before the response. Where no event is published at all, the wait below would take its whole time.
    assert [detail["type"] for detail in events_for(service, name)] == ["ferry.upload.started"]
    expect(api.request("DELETE", f"/cleanup?filename={name}&older_than=0"), 200, "cleanup")
    wait_until(lambda: len(events_for(service, name)) == 2)
    assert events_for(service, name)[-1]["type"] == "ferry.upload.expired"


def test_events_of_a_link_published_once(api: FerryClient, service: LocalService, name: str) -> None:
    """The creation of a link, and that it is used up, are published with its id, and nowhere with its secret."""
    upload_file(api, name, random_bytes(10))
    link = expect(api.post("/links", kind="download", filename=name, max_downloads=1), 201, "link").json
    path = "/l/" + link["url"].rpartition("/")[2]
    assert FerryClient(api.base_url).request("GET", f"{path}/download").status == 200
    lines = (service.state_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    details = [json.loads(line)["detail"] for line in lines if link["link_id"] in line]
    assert [detail["type"] for detail in details] == ["ferry.link.created", "ferry.link.used_up"]
    for detail in details:
        assert_valid_detail(detail)
    assert path not in "".join(lines)
