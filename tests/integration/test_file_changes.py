"""Moves, restores and deletions of several files over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from admin.quota_store import DynamoQuotaStore
from ferry import wiring
from tests.integration.stack import Result, Stack


def put(stack: Stack, name: str, content: bytes = b"x", **options: Any) -> dict[str, Any]:
    """Store a file and return its record."""
    result = stack.request("PUT /files/{filename+}", filename=name, body=content, **options)
    assert result.status in (200, 201)
    record: dict[str, Any] = result.json
    return record


def record_of(stack: Stack, name: str, token: str = "") -> Result:
    return stack.request("GET /files", query={"filename": name}, token=token)


def names_below(stack: Stack, prefix: str, **query: str) -> list[str]:
    """Return the names of the files below a prefix."""
    page = stack.request("GET /files", query={"prefix": prefix, **query}).json
    return [file["filename"] for file in page["files"]]


# Moves


def test_move_returns_record_under_new_name(stack: Stack) -> None:
    """A move returns the record with a new entity tag; downloads and records follow the name."""
    record = put(stack, "mv/a", b"moved")
    moved = stack.post_json("POST /files/move", {"from": "mv/a", "to": "mv/b"})
    assert moved.status == 200
    assert moved.json == {**record, "filename": "mv/b"}
    assert moved.headers["etag"] == record_of(stack, "mv/b").headers["etag"] != record["etag"]
    assert record_of(stack, "mv/a").status == 404
    assert stack.request("GET /download/{filename+}", filename="mv/b").body == b"moved"
    assert stack.request("GET /download/{filename+}", filename="mv/a").status == 404


def test_move_normalizes_names(stack: Stack) -> None:
    """Names are compared in form C."""
    put(stack, "mv/\u00e9")
    assert (
        stack.post_json("POST /files/move", {"from": "mv/e\u0301", "to": "mv/o\u0308"}).json["filename"] == "mv/\u00f6"
    )
    got = stack.post_json("POST /files/move", {"from": "mv/\u00f6", "to": "mv/o\u0308"})
    assert (got.status, got.code, got.json["errors"][0]["loc"]) == (422, "validation_failed", ["to"])


def test_move_repeated_with_etag_is_same_success(stack: Stack) -> None:
    """With the entity tag a repeated move is the same 200, without it is a 404."""
    record = put(stack, "rp/a")
    body = {"from": "rp/a", "to": "rp/b", "etag": record["etag"]}
    first, second = (stack.post_json("POST /files/move", body) for _ in range(2))
    assert (first.status, first.json) == (second.status, second.json) == (200, {**record, "filename": "rp/b"})
    got = stack.post_json("POST /files/move", {"from": "rp/a", "to": "rp/b"})
    assert (got.status, got.code) == (404, "not_found")


MOVE_REJECTIONS: list[tuple[dict[str, Any], dict[str, str], int, str]] = [
    ({"from": "no"}, {}, 404, "not_found"),
    ({}, {}, 409, "file_exists"),
    ({"if_exists": "fail"}, {}, 409, "file_exists"),
    ({"if_exists": "replace"}, {"if-none-match": "*"}, 409, "file_exists"),
    ({"etag": '"other"', "if_exists": "replace"}, {}, 412, "precondition_failed"),
    ({"to_etag": '"other"'}, {}, 412, "precondition_failed"),
    ({"if_exists": "replace"}, {"if-match": '"other"'}, 412, "precondition_failed"),
    ({"if_exists": "replace"}, {"if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412, "precondition_failed"),
    ({"to": "rj/a"}, {}, 422, "validation_failed"),
    ({"to": "../up"}, {}, 422, "invalid_filename"),
    ({"from": ""}, {}, 422, "invalid_filename"),
    ({"to": None}, {}, 422, "validation_failed"),
    ({"etag": ""}, {}, 422, "validation_failed"),
    ({"to_etag": ""}, {}, 422, "validation_failed"),
    ({"to_etag": '"x"', "if_exists": "fail"}, {}, 422, "validation_failed"),
    ({"if_exists": "rename"}, {}, 422, "validation_failed"),
    ({"if_exists": "replace"}, {"if-match": " "}, 422, "validation_failed"),
    ({"if_exists": "replace", "other": 1}, {}, 422, "validation_failed"),
]


@pytest.mark.parametrize(("change", "headers", "status", "code"), MOVE_REJECTIONS, ids=range(len(MOVE_REJECTIONS)))
def test_move_rejected_changes_nothing(
    stack: Stack, change: dict[str, Any], headers: dict[str, str], status: int, code: str
) -> None:
    """A rejected move says why, and both files stay."""
    records = [put(stack, name, name.encode()) for name in ("rj/a", "rj/b")]
    got = stack.post_json("POST /files/move", {"from": "rj/a", "to": "rj/b", **change}, headers=headers)
    assert (got.status, got.code) == (status, code)
    assert [record_of(stack, name).json for name in ("rj/a", "rj/b")] == records
    if status == 412:
        assert got.json["current_file"] in records


def test_move_with_unknown_parameter_is_rejected(stack: Stack) -> None:
    """A query parameter, which the route does not have, is a 422."""
    for route in ("POST /files/move", "POST /files/delete", "POST /files/restore"):
        got = stack.request(route, query={"filename": "a"}, body=b"{}")
        assert (got.status, got.code) == (422, "validation_failed")


def test_move_under_if_match_replaces(stack: Stack) -> None:
    """Conditions about the file hold for its record and its content; `to_etag` replaces only that file."""
    for of_record in (True, False):
        put(stack, "im/a", b"1")
        other = put(stack, "im/b", b"2")
        record = record_of(stack, "im/a")
        etag = record.headers["etag"] if of_record else record.json["etag"]
        body = {"from": "im/a", "to": "im/b", "to_etag": other["etag"]}
        moved = stack.post_json("POST /files/move", body, headers={"if-match": etag})
        assert moved.status == 200
        assert stack.request("GET /download/{filename+}", filename="im/b").body == b"1"
        assert (
            stack.request("GET /files", query={"prefix": "im/b", "deleted": "true"}).json["files"][0]["upload_id"]
            == other["upload_id"]
        )


# Restores


def test_deleted_file_is_listed_and_restored(stack: Stack) -> None:
    """A deleted file is in the list of deleted files, and a restore brings it back under its name."""
    record = put(stack, "rs/a", b"back")
    assert stack.request("DELETE /files/{filename+}", filename="rs/a").status == 204
    [deleted] = stack.request("GET /files", query={"prefix": "rs/", "deleted": "true"}).json["files"]
    assert {**deleted, **record} == deleted
    assert deleted["restorable_until"] > deleted["deleted_at"] >= record["uploaded_at"]
    restored = stack.post_json("POST /files/restore", {"filename": "rs/a"})
    assert (restored.status, restored.json) == (200, record)
    assert stack.request("GET /download/{filename+}", filename="rs/a").body == b"back"
    assert stack.request("GET /files", query={"prefix": "rs/", "deleted": "true"}).json == {"files": []}
    assert stack.post_json("POST /files/restore", {"filename": "rs/a"}).json == record


def test_replaced_files_are_listed_newest_first_and_restored_by_upload(stack: Stack) -> None:
    """Files that a PUT replaced are listed, the last one first; each is had by its upload id, under any name."""
    records = [put(stack, "rv/a", body) for body in (b"1", b"2", b"3")]
    listed = stack.request("GET /files", query={"prefix": "rv/", "deleted": "true"}).json["files"]
    assert [each["upload_id"] for each in listed] == [records[1]["upload_id"], records[0]["upload_id"]]
    pages = stack.request("GET /files", query={"prefix": "rv/", "deleted": "true", "limit": "1"}).json
    assert len(pages["files"]) == 1
    body = {"filename": "rv/a", "upload_id": records[0]["upload_id"], "to": "rv/old"}
    assert stack.post_json("POST /files/restore", body).json["upload_id"] == records[0]["upload_id"]
    renamed = stack.post_json("POST /files/restore", {"filename": "rv/a", "if_exists": "rename"})
    assert renamed.json["filename"] == "rv/a (2)"
    assert names_below(stack, "rv/") == ["rv/a", "rv/a (2)", "rv/old"]


RESTORE_REJECTIONS: list[tuple[dict[str, Any], dict[str, str], int, str]] = [
    ({"filename": "rr/never"}, {}, 404, "not_found"),
    ({"upload_id": "f" * 32}, {}, 404, "not_found"),
    ({}, {}, 409, "file_exists"),
    ({"if_exists": "fail"}, {}, 409, "file_exists"),
    ({"if_exists": "replace"}, {"if-none-match": "*"}, 409, "file_exists"),
    ({"if_exists": "replace"}, {"if-match": '"other"'}, 412, "precondition_failed"),
    ({"to": "rr/free"}, {"if-match": "*"}, 412, "precondition_failed"),
    ({"filename": "/"}, {}, 422, "invalid_filename"),
    ({"to": "a/"}, {}, 422, "invalid_filename"),
    ({"upload_id": ""}, {}, 422, "validation_failed"),
    ({"if_exists": "keep"}, {}, 422, "validation_failed"),
    ({"unknown": 1}, {}, 422, "validation_failed"),
]


@pytest.mark.parametrize(
    ("change", "headers", "status", "code"), RESTORE_REJECTIONS, ids=range(len(RESTORE_REJECTIONS))
)
def test_restore_rejected_changes_nothing(
    stack: Stack, change: dict[str, Any], headers: dict[str, str], status: int, code: str
) -> None:
    """A rejected restore says why; the file stays, and the deleted one can still be restored."""
    put(stack, "rr/a", b"1")
    current = put(stack, "rr/a", b"2")
    deleted = stack.request("GET /files", query={"prefix": "rr/a", "deleted": "true"}).json
    got = stack.post_json("POST /files/restore", {"filename": "rr/a", **change}, headers=headers)
    assert (got.status, got.code) == (status, code)
    assert record_of(stack, "rr/a").json == current
    assert stack.request("GET /files", query={"prefix": "rr/a", "deleted": "true"}).json == deleted
    assert names_below(stack, "rr/") == ["rr/a"]


def test_restore_beyond_quota_is_rejected(stack: Stack) -> None:
    """A restored file counts again, and is rejected where there is no room."""
    quotas, token = DynamoQuotaStore(wiring.metadata_table()), stack.token("restoring")
    quotas.set_limits("restoring", max_bytes=5, max_uploads=None, max_file_bytes=None)
    put(stack, "a", b"123", token=token)
    assert stack.request("DELETE /files/{filename+}", filename="a", token=token).status == 204
    put(stack, "b", b"123", token=token)
    got = stack.post_json("POST /files/restore", {"filename": "a"}, token=token)
    assert (got.status, got.code, got.json["quota"]) == (403, "quota_exceeded", "bytes")
    assert record_of(stack, "a", token).status == 404
    assert stack.request("DELETE /files/{filename+}", filename="b", token=token).status == 204
    assert stack.post_json("POST /files/restore", {"filename": "a"}, token=token).status == 200
    quota = quotas.get_quota("restoring")
    assert quota is not None
    assert quota.used_bytes == 3


@pytest.mark.parametrize(
    "query",
    [
        {"deleted": "false"},
        {"deleted": ""},
        {"deleted": "TRUE"},
        {"deleted": "true", "delimiter": "/"},
        {"deleted": "true", "limit": "0"},
        {"deleted": "true", "limit": "1001"},
        {"deleted": "true", "cursor": "x"},
        {"deleted": "true", "cursor": ""},
    ],
    ids=str,
)
def test_list_of_deleted_files_with_invalid_parameters_is_rejected(stack: Stack, query: dict[str, str]) -> None:
    """An invalid parameter of the list of deleted files is a 422 that names it."""
    got = stack.request("GET /files", query=query)
    assert (got.status, got.code) == (422, "validation_failed")
    assert got.json["errors"][0]["loc"][0] in query


def test_list_of_deleted_files_is_of_own_namespace(stack: Stack) -> None:
    """Another namespace does not see, and cannot restore, a deleted file."""
    put(stack, "own/a")
    stack.request("DELETE /files/{filename+}", filename="own/a")
    other = stack.token("other")
    assert stack.request("GET /files", query={"prefix": "own/", "deleted": "true"}, token=other).json == {"files": []}
    assert stack.post_json("POST /files/restore", {"filename": "own/a"}, token=other).status == 404
    assert stack.post_json("POST /files/move", {"from": "own/a", "to": "b"}, token=other).status == 404


# Deletions


def test_delete_reports_each_name(stack: Stack) -> None:
    """Partial results: what was deleted, what was missing, and what was wrong."""
    records = {name: put(stack, name, name.encode()) for name in ("dl/a", "dl/b", "dl/c")}
    entries = [
        "dl/a",
        "dl/a",
        "dl/x",
        {"filename": "dl/b", "etag": records["dl/a"]["etag"]},
        {"filename": "dl/c", "etag": records["dl/c"]["etag"]},
        "..",
    ]
    got = stack.post_json("POST /files/delete", {"filenames": entries})
    assert (got.status, got.json) == (
        200,
        {
            "deleted": ["dl/a", "dl/c"],
            "missing": ["dl/x"],
            "errors": [
                {"filename": "..", "code": "invalid_filename"},
                {"filename": "dl/b", "code": "precondition_failed"},
            ],
        },
    )
    assert names_below(stack, "dl/") == ["dl/b"]
    again = stack.post_json("POST /files/delete", {"filenames": ["dl/a", "dl/c"]})
    assert again.json == {"deleted": [], "missing": ["dl/a", "dl/c"], "errors": []}


def test_delete_hundred_longest_names(stack: Stack) -> None:
    """A hundred names of 1,000 bytes fit into a request, with every character escaped."""
    stem = "/".join(["\u00e9" * 127] * 3) + "/" + "x" * 230
    names = [f"{stem}{number:03}" for number in range(100)]
    put(stack, names[7])
    escaped = ",".join('"' + "".join(f"\\u{ord(character):04x}" for character in name) + '"' for name in names)
    got = stack.request("POST /files/delete", body=f'{{"filenames": [{escaped}]}}'.encode())
    assert (got.status, got.json["deleted"], len(got.json["missing"])) == (200, [names[7]], 99)


DELETE_REJECTIONS: list[tuple[Any, dict[str, str]]] = [
    ({}, {}),
    ({"filenames": []}, {}),
    ({"filenames": ["de/a"] * 101}, {}),
    ({"filenames": "de/a"}, {}),
    ({"filenames": [1]}, {}),
    ({"filenames": [None]}, {}),
    ({"filenames": [{"filename": "de/a", "etag": ""}]}, {}),
    ({"filenames": [{"etag": "x"}]}, {}),
    ({"filenames": [{"filename": "de/a", "other": 1}]}, {}),
    ({"filenames": ["de/a"], "if_exists": "replace"}, {}),
    ({"filenames": ["de/a"]}, {"if-match": "*"}),
    ({"filenames": ["de/a"]}, {"if-none-match": '"x"'}),
    ({"filenames": ["de/a"]}, {"if-unmodified-since": "Thu, 01 Jan 2099 00:00:00 GMT"}),
]


@pytest.mark.parametrize(("body", "headers"), DELETE_REJECTIONS, ids=range(len(DELETE_REJECTIONS)))
def test_delete_rejected_deletes_nothing(stack: Stack, body: Any, headers: dict[str, str]) -> None:
    """A request that is not valid as a whole is a 422, and nothing is deleted."""
    record = put(stack, "de/a")
    got = stack.post_json("POST /files/delete", body, headers=headers)
    assert (got.status, got.code) == (422, "validation_failed")
    assert record_of(stack, "de/a").json == record


def test_changes_need_write_scope(stack: Stack) -> None:
    """A token that may only read can neither move, delete nor restore."""
    record, token = put(stack, "sc/a"), stack.token("demo", "files:read")
    for route, body in (
        ("POST /files/move", {"from": "sc/a", "to": "sc/b"}),
        ("POST /files/delete", {"filenames": ["sc/a"]}),
        ("POST /files/restore", {"filename": "sc/a"}),
    ):
        got = stack.post_json(route, body, token=token)
        assert (got.status, got.code) == (403, "insufficient_scope")
    assert record_of(stack, "sc/a").json == record
