"""Choose a free name for a file whose own name is taken (`if_exists: rename`)."""

from __future__ import annotations

from ferry.model.uploads import CurrentUpload
from ferry.rules.free_names import RANDOM_CHARACTERS, name_with_mark, numbered_names
from ferry.services import Services


def find_free_name(services: Services, ns: str, name: str) -> tuple[str, CurrentUpload | None]:
    """Return the first of `name (2).ext` to `name (20).ext` without a file and an upload in progress. One call.

    Also return the last upload of that name, if it had one. If all are taken: a name with random characters, which is
    not read, because a collision fails the write.

    Raises:
        InvalidFilename: the extension leaves no room for a number.
    """
    candidates = numbered_names(name)
    states = services.file_repository.get_name_states(ns, candidates)
    for candidate in candidates:
        state = states.get(candidate)
        if state is None or state.is_free:
            return candidate, state.current_upload if state is not None else None
    return name_with_mark(name, services.new_id()[-RANDOM_CHARACTERS:]), None
