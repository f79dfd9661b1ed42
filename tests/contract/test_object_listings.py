"""The object store's contract: listings of objects and folders, and of the multipart uploads on one key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from ferry.errors import InvalidField
from ferry.ports.object_store import ObjectStore
from ferry.ports.types import Page
from ferry.rules.digests import crc32c
from tests.contract.test_upload_repository_listings import collect_pages

IDS = [f"{number:032x}" for number in range(7)]


def fill(objects: ObjectStore) -> None:
    """Objects of seven ids, one to three stages each, and what others might leave beside them."""
    for number, upload_id in enumerate(IDS):
        put_object(objects, f"o/{upload_id}", bytes(number))
        for index in range(1, 2 + number % 3):
            put_object(objects, f"st/{upload_id}/1/{index}-ab", b"stage")
    put_object(objects, "st/beside", b"")
    put_object(objects, "other/o/x", b"")


def put_object(objects: ObjectStore, key: str, body: bytes) -> None:
    objects.put(key, body, crc32c=crc32c(body))


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_list_objects_paginates_each_once(objects: ObjectStore, limit: int) -> None:
    """Each once, by key, with its size and when it was made."""
    fill(objects)
    pages = collect_pages(partial(objects.list_objects, "o/", limit=limit))
    listed = [item for page in pages for item in page]
    assert [(item.key, item.size) for item in listed] == [(f"o/{name}", number) for number, name in enumerate(IDS)]
    assert all(item.modified_at > 10**12 for item in listed)
    assert all(len(page) <= limit for page in pages)
    assert objects.list_objects("nothing/", None, limit) == Page([])


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_list_prefixes_paginates_each_once(objects: ObjectStore, limit: int) -> None:
    """One for each upload, however many stages it has; what lies beside them is none."""
    fill(objects)
    pages = collect_pages(partial(objects.list_prefixes, "st/", limit=limit))
    assert [folder for page in pages for folder in page] == [f"st/{upload_id}/" for upload_id in IDS]
    assert objects.list_prefixes("nothing/", None, limit) == Page([])


def test_list_multipart_uploads_of_key_excludes_others(objects: ObjectStore) -> None:
    """None of another's, be its key the beginning of this one."""
    keys = {name: f"o/{IDS[number]}" for number, name in enumerate(("mine", "other"))}
    mine = {objects.create_multipart(keys["mine"], content_type="text/plain") for _ in range(2)}
    objects.create_multipart(keys["other"], content_type="text/plain")
    objects.create_multipart(keys["mine"] + "0", content_type="text/plain")
    found = objects.list_multipart_uploads(None, 1_000, keys["mine"])
    assert {(key, multipart_id) for key, multipart_id, _ in found.items} == {(keys["mine"], name) for name in mine}
    assert objects.list_multipart_uploads(None, 1_000, f"o/{IDS[5]}") == Page([])


def test_object_listing_with_foreign_cursor_raises(objects: ObjectStore) -> None:
    """Each listing takes its own only."""
    fill(objects)
    of_objects = objects.list_objects("o/", None, 1).cursor
    of_folders = objects.list_prefixes("st/", None, 1).cursor
    assert None not in (of_objects, of_folders)
    asked: list[Callable[[], object]] = [
        lambda: objects.list_objects("st/", of_objects, 1),
        lambda: objects.list_objects("o/", of_folders, 1),
        lambda: objects.list_prefixes("st/", of_objects, 1),
        lambda: objects.list_prefixes("o/", of_folders, 1),
        lambda: objects.list_objects("o/", "garbage", 1),
    ]
    for ask in asked:
        with pytest.raises(InvalidField):
            ask()
