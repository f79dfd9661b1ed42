"""The contract of the object store: listings of objects and prefixes, and of the multipart uploads of one key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from ferry.errors import InvalidField
from ferry.ports.object_store import ObjectStore
from ferry.ports.types import Page
from tests.contract.factories import collect_pages
from tests.contract.samples import put_object

IDS = [f"{number:032x}" for number in range(7)]


def fill(objects: ObjectStore) -> None:
    """Store objects of seven uploads, one to three staged chunks of each, and objects outside Ferry's layout."""
    for number, upload_id in enumerate(IDS):
        put_object(objects, f"o/{upload_id}", bytes(number))
        for index in range(1, 2 + number % 3):
            put_object(objects, f"st/{upload_id}/1/{index}-ab", b"stage")
    put_object(objects, "st/beside", b"")
    put_object(objects, "other/o/x", b"")


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_list_objects_paginates_each_once(objects: ObjectStore, limit: int) -> None:
    """Each object is listed once, by key, with its size and date."""
    fill(objects)
    pages = collect_pages(partial(objects.list_objects, "o/", limit=limit))
    listed = [item for page in pages for item in page]
    assert [(item.key, item.size) for item in listed] == [(f"o/{name}", number) for number, name in enumerate(IDS)]
    assert all(item.modified_at > 10**12 for item in listed)
    assert all(len(page) <= limit for page in pages)
    assert objects.list_objects("nothing/", None, limit) == Page([])


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_list_prefixes_paginates_each_once(objects: ObjectStore, limit: int) -> None:
    """Each upload with staged chunks is listed once; objects outside a folder are not."""
    fill(objects)
    pages = collect_pages(partial(objects.list_prefixes, "st/", limit=limit))
    assert [prefix for page in pages for prefix in page] == [f"st/{upload_id}/" for upload_id in IDS]
    assert objects.list_prefixes("nothing/", None, limit) == Page([])


def test_list_multipart_uploads_of_key_excludes_others(objects: ObjectStore) -> None:
    """The listing of one key excludes other keys, also those that begin with it."""
    keys = {name: f"o/{IDS[number]}" for number, name in enumerate(("mine", "other"))}
    mine = {objects.create_multipart(keys["mine"], content_type="text/plain") for _ in range(2)}
    objects.create_multipart(keys["other"], content_type="text/plain")
    objects.create_multipart(keys["mine"] + "0", content_type="text/plain")
    found = objects.list_multipart_uploads(None, 1_000, keys["mine"])
    assert {(key, multipart_id) for key, multipart_id, _ in found.items} == {(keys["mine"], name) for name in mine}
    assert objects.list_multipart_uploads(None, 1_000, f"o/{IDS[5]}") == Page([])


def test_object_listing_with_foreign_cursor_raises(objects: ObjectStore) -> None:
    """A listing rejects the cursor of another listing or prefix."""
    fill(objects)
    objects_cursor = objects.list_objects("o/", None, 1).cursor
    prefixes_cursor = objects.list_prefixes("st/", None, 1).cursor
    assert None not in (objects_cursor, prefixes_cursor)
    calls: list[Callable[[], object]] = [
        lambda: objects.list_objects("st/", objects_cursor, 1),
        lambda: objects.list_objects("o/", prefixes_cursor, 1),
        lambda: objects.list_prefixes("st/", objects_cursor, 1),
        lambda: objects.list_prefixes("o/", prefixes_cursor, 1),
        lambda: objects.list_objects("o/", "garbage", 1),
    ]
    for call in calls:
        with pytest.raises(InvalidField):
            call()
