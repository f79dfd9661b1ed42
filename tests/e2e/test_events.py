"""Events as the local service tells them: the file that stands for the bus, and nothing else of Ferry."""

from __future__ import annotations

import json
from typing import Any

from local.api import Api, must
from local.launch import Launched
from tests.e2e.clients import eventually, some_bytes, upload
from tests.support.schema import check_detail


def told_of(service: Launched, name: str) -> list[dict[str, Any]]:
    """The details of the events about a file of that name, in the order in which they were sent."""
    path = service.state / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    events = [json.loads(line) for line in lines]
    details = [event["detail"] for event in events if event["detail"]["filename"] == name]
    for detail in details:
        check_detail(detail)
    return details


def test_a_file_comes_is_replaced_and_goes(api: Api, service: Launched, name: str) -> None:
    """Each is told before the answer, once, with all that a consumer needs."""
    metadata = {"customer": "Ångström"}
    first = upload(api, name, some_bytes(100), metadata=metadata, content_type="text/plain")
    second = upload(api, name, some_bytes(200, seed=2), if_exists="replace")
    must(api.request("DELETE", f"/files/{name}"), 204, "delete")
    details = told_of(service, name)
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


def test_an_upload_that_is_cancelled(api: Api, service: Launched, name: str) -> None:
    """Told when it begins and when it ends; cancelling again tells nothing more."""
    must(api.start(name, 5), 201, "start")
    for _ in range(2):
        must(api.request("DELETE", f"/upload/{name}"), 204, "cancel")
    assert [detail["type"] for detail in told_of(service, name)] == ["ferry.upload.started", "ferry.upload.cancelled"]


def test_an_upload_that_a_clean_up_ends(api: Api, service: Launched, name: str) -> None:
    """It has expired, whoever it was that looked."""
    must(api.start(name, 5), 201, "start")
    must(api.request("DELETE", f"/cleanup?filename={name}&older_than=0"), 200, "clean-up")
    eventually(lambda: len(told_of(service, name)) == 2)
    assert told_of(service, name)[-1]["type"] == "ferry.upload.expired"
