"""Pairs of requests for tests of tenant isolation: one names what another namespace has, its twin what does not exist.

The pairs are generated from the OpenAPI document. Every parameter and body member is drawn by its name; an unknown name
fails, so a new route is tested from the start.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ferry.rules.layout import MIB

ValuePair = tuple[Any, Any]
"""The values for both requests: what the victim has and what no namespace has, or twice the same."""

CHUNK_BYTES = 64 * 1024
"""Chunk size of the victim's uploads."""
IDENTIFYING_NAMES = ("filename", "upload_id", "cursor", "from", "filenames")
"""Parameters that name something of the victim, drawn in half of the requests even if they are optional."""


@dataclass(frozen=True)
class Victim:
    """What an attacker in another namespace may know of the victim. Each pair is a real value and one like it."""

    names: tuple[ValuePair, ...]
    """Filenames."""
    upload_ids: tuple[ValuePair, ...]
    """Upload ids, in the order of the names."""
    link_ids: tuple[ValuePair, ...]
    """Ids of links."""
    cursors: tuple[ValuePair, ...]
    """Cursors of listings."""
    etags: tuple[ValuePair, ...]
    """ETags of files."""
    urls: tuple[ValuePair, ...]
    """Presigned URLs."""
    fingerprints: tuple[ValuePair, ...]
    """Fingerprints of uploads."""
    crcs: tuple[ValuePair, ...]
    """CRC-32C checksums, base64."""
    content: bytes
    """The content of every file."""
    sizes: tuple[int, ...]
    """Sizes of files."""
    token: str
    """An access token of the victim."""

    @property
    def secrets(self) -> list[str]:
        """Return the values that no response may contain unless the request did."""
        return [str(real) for pairs in (self.upload_ids, self.link_ids, self.etags, self.urls) for real, _ in pairs]


@dataclass(frozen=True)
class IsolationRequest:
    """One request of a pair: arguments of `Stack.request`."""

    filename: str | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


def same_values(*values: Any) -> st.SearchStrategy[ValuePair]:
    """Draw one of the values for both requests."""
    return st.sampled_from([(value, value) for value in values])


def value_strategies(victim: Victim) -> Mapping[str, st.SearchStrategy[ValuePair]]:
    """Return how each parameter and body member is drawn, by its name in lower case."""
    anything = (*victim.names, *victim.upload_ids, *victim.cursors, *victim.urls, (victim.token, victim.token[::-1]))
    # Filename and upload id share the index, so that they belong together in many requests.
    index = st.shared(st.integers(0, len(victim.names) - 1), key="index")
    checksums = [
        tuple({"algorithm": "crc32c", "value": value} for value in pair) for pair in (*victim.crcs, ("AAAAAA==",) * 2)
    ]
    checksum = st.sampled_from(checksums)
    other = st.sampled_from(anything)
    part = st.tuples(st.integers(1, 3), st.none() | checksum).map(_part_pair)
    tag = st.sampled_from([*victim.etags, ("*", "*"), ('"x"', '"x"')])
    date = same_values("Sun, 22 Nov 2026 00:00:00 GMT", "Sun, 22 Nov 2099 00:00:00 GMT")
    digest = same_values("sha-256=:AAAA:", "crc32c=:AAAAAA==:")
    name = index.map(lambda at: victim.names[at]) | index.map(lambda at: victim.names[at]) | other
    entry = name | st.tuples(name, tag).map(
        lambda drawn: tuple({"filename": drawn[0][side], "etag": drawn[1][side]} for side in (0, 1))
    )
    return {
        "filename": name,
        "from": name,
        "to": name,
        "etag": tag,
        "to_etag": tag,
        "filenames": st.lists(entry, min_size=1, max_size=3).map(
            lambda twins: tuple(map(list, zip(*twins, strict=True)))
        ),
        "link_id": st.sampled_from(victim.link_ids),
        "kind": same_values("download", "upload"),
        "expires_in": same_values(60, 3_600),
        "max_downloads": same_values(1, None),
        "max_files": same_values(1),
        "max_bytes": same_values(1),
        "password": same_values("a long password"),
        "label": same_values("label"),
        "delimiter": same_values("/"),
        "deleted": same_values("true"),
        "prefix": st.sampled_from([*victim.names, ("", "")]),
        "upload_id": index.map(lambda at: victim.upload_ids[at]) | st.sampled_from(victim.upload_ids) | other,
        "cursor": st.sampled_from(victim.cursors) | other,
        "fingerprint": st.sampled_from(victim.fingerprints),
        "checksum": checksum,
        "parts": st.lists(part, min_size=1, max_size=3).map(lambda twins: tuple(map(list, zip(*twins, strict=True)))),
        "data": same_values(base64.b64encode(victim.content[:CHUNK_BYTES]).decode(), "eA=="),
        "size": same_values(*victim.sizes, 1),
        "chunk_size": same_values(CHUNK_BYTES),
        "chunk_index": same_values(1, 2),
        "content_type": same_values("text/plain"),
        "metadata": same_values({"a": "b"}),
        "if_exists": same_values("fail", "rename", "replace"),
        "if_match": tag,
        "restart": same_values(True, False),
        "resume": same_values(True, False),
        "part_size": same_values(8 * MIB, 5 * MIB),
        "redirect": same_values("true", "false"),
        "disposition": same_values("inline", "attachment"),
        "dry_run": same_values("true", "false"),
        "older_than": same_values("0", "1000000"),
        "limit": same_values("1", "100"),
        "wait": same_values("1"),
        "since": same_values("0"),
        "range": same_values("bytes=0-9", "bytes=-5"),
        "if-range": tag | date,
        "if-match": tag,
        "if-none-match": tag,
        "if-modified-since": date,
        "if-unmodified-since": date,
        "ferry-metadata": same_values(base64.b64encode(b'{"a": "b"}').decode()),
        "content-digest": digest,
        "content-md5": same_values("AAAAAAAAAAAAAAAAAAAAAA=="),
        "digest": same_values("md5=AAAAAAAAAAAAAAAAAAAAAA=="),
        "x-amz-checksum-crc32c": same_values("AAAAAA=="),
        "x-amz-checksum-crc32": same_values("AAAAAA=="),
        "x-amz-checksum-sha256": same_values("AAAA"),
        "repr-digest": digest,
        "content-disposition": same_values('attachment; filename="b.bin"'),
        "tus-resumable": same_values("1.0.0", "0.2.2"),
        "upload-complete": same_values("?0", "?1"),
        "upload-draft-interop-version": same_values("6", "8"),
        "upload-length": same_values(str(len(victim.content)), str(CHUNK_BYTES)),
        "upload-defer-length": same_values("1"),
        "upload-offset": same_values("0", str(CHUNK_BYTES)),
        "upload-checksum": same_values("sha1 AAAA"),
        "upload-metadata": st.sampled_from(victim.names).map(
            lambda pair: tuple(f"filename {base64.b64encode(name.encode()).decode()}" for name in pair)
        ),
        "upload-concat": same_values("partial")
        | st.sampled_from(victim.upload_ids).map(lambda pair: tuple(f"final;/uploads/{name}" for name in pair)),
        "x-http-method-override": same_values("HEAD", "PATCH", "DELETE"),
    }


def request_pairs(
    operation: Mapping[str, Any], schemas: Mapping[str, Any], victim: Victim
) -> st.SearchStrategy[tuple[IsolationRequest, IsolationRequest]]:
    """Return a strategy for pairs of requests of an operation. Raises `KeyError` for an unknown parameter name."""
    values = value_strategies(victim)
    by_place: dict[str, dict[str, st.SearchStrategy[ValuePair]]] = {"path": {}, "query": {}, "header": {}, "body": {}}
    required: set[tuple[str, str]] = set()
    for parameter in operation.get("parameters", []):
        by_place[parameter["in"]][parameter["name"]] = values[parameter["name"].lower()]
        required |= {(parameter["in"], parameter["name"])} if parameter["required"] else set()
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = schemas[content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        by_place["body"] = {name: values[name] for name in schema["properties"]}
        required |= {("body", name) for name in schema["required"]}
    raw = st.booleans() if _binary_type(content) else st.just(False)
    named = {(place, name) for place, members in by_place.items() for name in members if name in IDENTIFYING_NAMES}
    either = _required_and_some_optional(by_place, required | named) | _required_and_some_optional(by_place, required)
    return st.tuples(either, raw).map(lambda drawn: _build_pair(*drawn, victim, content))


def valid_request_pair(
    operation: Mapping[str, Any], schemas: Mapping[str, Any], victim: Victim, index: int
) -> tuple[IsolationRequest, IsolationRequest]:
    """Return a pair whose first request would succeed for the victim."""
    values: dict[str, ValuePair] = {
        "filename": victim.names[index],
        "link_id": victim.link_ids[0],
        "kind": ("download", "download"),
        "upload_id": victim.upload_ids[index],
        "size": (len(victim.content),) * 2,
        "chunk_index": (1, 1),
        "data": (base64.b64encode(victim.content[:CHUNK_BYTES]).decode(),) * 2,
        "parts": ([{"part_number": 1}],) * 2,
        "from": victim.names[index],
        "to": ("a new name",) * 2,
        "filenames": ([victim.names[index][0]], [victim.names[index][1]]),
        "X-HTTP-Method-Override": ("PATCH",) * 2,
        "Tus-Resumable": ("1.0.0",) * 2,
        "Upload-Offset": ("0",) * 2,
    }
    drawn: dict[str, dict[str, ValuePair]] = {"path": {}, "query": {}, "header": {}, "body": {}}
    for parameter in operation.get("parameters", []):
        if parameter["name"] in values:
            drawn[parameter["in"]][parameter["name"]] = values[parameter["name"]]
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        schema = schemas[content["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        drawn["body"] = {name: values[name] for name in schema["properties"] if name in values}
    return _build_pair(drawn, False, victim, content)


def _required_and_some_optional(
    by_place: Mapping[str, Mapping[str, st.SearchStrategy[ValuePair]]], required: Set[tuple[str, str]]
) -> st.SearchStrategy[dict[str, dict[str, ValuePair]]]:
    """Draw all required parameters and some of the optional ones."""
    return st.fixed_dictionaries(
        {
            place: st.fixed_dictionaries(
                {name: value for name, value in members.items() if (place, name) in required},
                optional={name: value for name, value in members.items() if (place, name) not in required},
            )
            for place, members in by_place.items()
        }
    )


def _part_pair(drawn: tuple[int, ValuePair | None]) -> ValuePair:
    number, checksums = drawn
    if checksums is None:
        return {"part_number": number}, {"part_number": number}
    first, second = checksums
    return {"part_number": number, "checksum": first}, {"part_number": number, "checksum": second}


def _binary_type(content: Mapping[str, Any]) -> str:
    """Return the media type of raw bytes that a request has, that of tus before others; empty for none."""
    kinds = [kind for kind, body in content.items() if body["schema"].get("format") == "binary"]
    return next((kind for kind in kinds if "offset+" in kind), kinds[0] if kinds else "")


def _build_pair(
    drawn: Mapping[str, Mapping[str, ValuePair]], raw: bool, victim: Victim, content: Mapping[str, Any]
) -> tuple[IsolationRequest, IsolationRequest]:
    def build(side: int) -> IsolationRequest:
        def values(place: str) -> dict[str, Any]:
            return {name: pair[side] for name, pair in drawn[place].items()}

        headers, body = values("header"), None
        if raw:
            headers["content-type"], body = _binary_type(content), victim.content[:CHUNK_BYTES]
        elif "application/json" in content:
            headers["content-type"], body = "application/json", json.dumps(values("body")).encode()
        # The query of the route that takes raw bytes and JSON describes the raw bytes.
        described = not raw and bool(_binary_type(content))
        query = {} if described else {name: str(value) for name, value in values("query").items()}
        path = values("path")
        return IsolationRequest(path.pop("filename", None), path, query, headers, body)

    return build(0), build(1)
