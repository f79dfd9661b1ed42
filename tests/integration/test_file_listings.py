"""The listing of files over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.stack import Stack


def list_pages(stack: Stack, **query: str) -> list[Any]:
    """Return the pages of a listing."""
    pages = []
    while True:
        pages.append(stack.request("GET /files", query=query).json)
        if "cursor" not in pages[-1]:
            return pages
        query = {**query, "cursor": pages[-1]["cursor"]}


def test_files_are_paginated(stack: Stack) -> None:
    """Pages of files have each file with the prefix once, by name; another namespace has none."""
    names = [f"page-{index}" for index in range(5)]
    for name in names:
        stack.upload(name, b"x")
    pages = list_pages(stack, prefix="page-", limit="2")
    assert [[file["filename"] for file in page["files"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert all(page["prefixes"] == [] for page in pages)
    other = stack.token("other")
    page = stack.request("GET /files", query={"prefix": "page-"}, token=other).json
    assert page == {"files": [], "prefixes": []}


def test_folders_are_listed_once_across_pages(stack: Stack) -> None:
    """With a delimiter a folder is one entry of the page, in order with the files, and counts toward the limit."""
    for name in ("d/a", "d/b/1", "d/b/2", "d/b0", "d/c/1/2", "d/e"):
        stack.upload(name, b"x")
    pages = list_pages(stack, prefix="d/", delimiter="/", limit="2")
    entries = [([file["filename"] for file in page["files"]], page["prefixes"]) for page in pages]
    assert entries == [(["d/a"], ["d/b/"]), (["d/b0"], ["d/c/"]), (["d/e"], [])]
    [page] = list_pages(stack, prefix="d", delimiter="/")
    assert (page["files"], page["prefixes"]) == ([], ["d/"])


def test_prefix_is_compared_in_form_c(stack: Stack) -> None:
    """A prefix in another normal form finds the names that it begins."""
    stack.upload("\u00e9t\u00e9", b"x")
    [page] = list_pages(stack, prefix="e\u0301t")
    assert [file["filename"] for file in page["files"]] == ["\u00e9t\u00e9"]


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "garbage"},
        {"cursor": ""},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1001"},
        {"limit": "9" * 50},
        {"limit": "1.5"},
        {"limit": ""},
        {"prefix": "x" * 1_001},
        {"prefix": "\ufffd"},
        {"delimiter": ""},
        {"delimiter": "//"},
        {"delimiter": "."},
    ],
    ids=str,
)
def test_invalid_parameters_are_rejected(stack: Stack, query: dict[str, str]) -> None:
    """An invalid parameter is a 422 that names it."""
    got = stack.request("GET /files", query=query)
    assert (got.status, got.code) == (422, "validation_failed")
    assert got.json["errors"][0]["loc"][0] in query


def test_cursor_of_other_query_or_namespace_is_rejected(stack: Stack) -> None:
    """A cursor of another prefix, delimiter or namespace is a 422."""
    for name in ("cur/a", "cur/b"):
        stack.upload(name, b"x")
    cursor = stack.request("GET /files", query={"prefix": "cur/", "limit": "1"}).json["cursor"]
    own, other = stack.token("demo"), stack.token("other")
    for query, token in (
        ({"prefix": "cur"}, own),
        ({"prefix": "cur/", "delimiter": "/"}, own),
        ({"prefix": "cur/"}, other),
    ):
        got = stack.request("GET /files", query={**query, "cursor": cursor}, token=token)
        assert (got.status, got.code) == (422, "validation_failed")
    got = stack.request("GET /files", query={"prefix": "cur/", "limit": "5", "cursor": cursor})
    assert [file["filename"] for file in got.json["files"]] == ["cur/b"]
