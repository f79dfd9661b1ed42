"""Choose a free name for a file whose own name is taken (`if_exists: rename`)."""

from __future__ import annotations

from ferry.rules.free_names import RANDOM_CHARACTERS, name_with_mark, numbered_names
from ferry.services import Services


def find_free_name(services: Services, ns: str, name: str) -> str:
    """Return the first of `name (2).ext` to `name (20).ext` without a file and an upload in progress. One call.

    If all are taken: a name with random characters, which is not read, because a collision fails the write.

    Raises:
        InvalidFilename: the extension leaves no room for a number.
    """
    candidates = numbered_names(name)
    taken = services.file_repository.get_taken_names(ns, candidates)
    free = (candidate for candidate in candidates if candidate not in taken)
    return next(free, None) or name_with_mark(name, services.new_id()[:RANDOM_CHARACTERS])
