"""Status and listings: what of a query matters, and conditional answers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from ferry import progress, waiting
from ferry.conditions import Conditions, Outcome, Validators, evaluate
from ferry.engine import SECOND, Engine
from ferry.http import views
from ferry.http.answer import Answer, json_answer
from ferry.http.request import Request
from ferry.names import MAX_BYTES

DEFAULT_LIMIT = 50
MOST_UPLOADS = 100
MOST_FILES = 300
"""Each may carry 2 KB of metadata, which JSON may escape to six times that, and an answer has 6 MB at most."""
MAX_WAIT = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page: where it begins, and how many items it has at most."""

    cursor: str | None
    limit: int


def page(request: Request, *, most: int) -> Wanted:
    """`?cursor=` and `?limit=`; whoever asks for more than `most` gets pages of `most`. Raises `InvalidField`."""
    limit = request.integer("limit", least=1)
    return Wanted(request.query.get("cursor"), min(most, DEFAULT_LIMIT if limit is None else limit))


def prefix(request: Request) -> str:
    """`?prefix=` in the normal form that names have. Raises `InvalidField` when no name can begin so."""
    return unicodedata.normalize("NFC", request.text("prefix", MAX_BYTES) or "")


def status_answer(engine: Engine, ns: str, name: str, request: Request) -> Answer:
    """The status now; with `?wait=&since=` once something newer is known; or 304 when it is the one the client has.

    Raises:
        InvalidField: a parameter is no integer, or out of bounds.
        NotFound: there is neither an upload nor a file of that name.
    """
    seconds = request.integer("wait", least=1, most=MAX_WAIT)
    since = request.integer("since")
    if seconds is None or since is None:
        found = progress.status(engine, ns, name)
    else:
        found = waiting.wait(engine, ns, name, since=since, seconds=seconds)
    current = Validators(f'"{found.tag}"', found.updated_at // SECOND)
    headers = {"ETag": current.etag, "Cache-Control": "private, no-cache"}
    conditions = Conditions(if_none_match=request.headers.get("if-none-match"))
    if evaluate(conditions, current, engine.clock() // SECOND) is Outcome.NOT_MODIFIED:
        return Answer(304, headers)
    return json_answer(200, views.status(found), headers)
