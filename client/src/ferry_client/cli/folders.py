"""Say what to type where a command needs a file and gets the name of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ferry_client.client import Ferry
from ferry_client.errors import NotFoundError, UsageError


@contextmanager
def expecting_file(ferry: Ferry, name: str, advice: str) -> Iterator[None]:
    """Explain the error of a block that needs a file of this name.

    Args:
        ferry: the service.
        name: the name.
        advice: the command for a folder, with `{folder}` where its name is.

    Raises:
        UsageError: the name is a folder's, with `/` at its end.
        NotFoundError: there is no such file; the error says whether there is such a folder.
    """
    if name.endswith("/"):
        if not ferry.list_page(name, limit=1).files:
            raise NotFoundError(404, "not_found", f"There are no files below {name}.")
        raise UsageError(f"{name} is a folder. For what is below it: {advice.format(folder=name)}")
    try:
        yield
    except NotFoundError as error:
        folder = f"{name}/"
        if not ferry.list_page(folder, limit=1).files:
            raise
        detail = f"There is no file {name}, but {folder} is a folder: {advice.format(folder=folder)}"
        raise NotFoundError(error.status, error.code, detail, error.request_id) from error
