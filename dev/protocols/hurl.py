"""An interpreter of the part of Hurl that the suite `sagikazarmark/tus-conformance-tests` uses.

A file is a sequence of entries: a request with headers and perhaps a body, the expected status, and perhaps sections
with captures and assertions. Filters other than `toString` and other sections raise `UnsupportedSyntax`.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST = re.compile(rf"({'|'.join(_METHODS)}) (\S.*)")
_STATUS = re.compile(r"HTTP(?:/\S+)? (\d{3}|\*)")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_CAPTURE = re.compile(r'(\w+): header "([^"]+)"')
_ASSERT = re.compile(
    r'(status(?: toString)?|header "[^"]+") (not exists|exists|==|!=|>=|<=|<|>|contains|startsWith|matches)(?: (.+))?'
)
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_TIMEOUT_SECONDS = 60


class UnsupportedSyntax(Exception):
    """The file uses a part of Hurl that this interpreter does not support."""


class Failed(Exception):
    """The server's response is not the expected one."""


@dataclass(slots=True)
class Entry:
    """A request and what its response must be."""

    method: str
    """The HTTP method."""
    url: str
    """The URL, with variables."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """The headers, with variables."""
    body: bytes | None = None
    """The body; None without one."""
    status: str | None = None
    """The expected status; `*` for any, None if the entry expects nothing."""
    captures: list[tuple[str, str]] = field(default_factory=list)
    """Variables, each with the response header that it is set to."""
    asserts: list[tuple[str, str, str]] = field(default_factory=list)
    """Assertions: what is examined, the predicate, and its argument."""


def parse(text: str) -> list[Entry]:
    """Return the entries of a file."""
    entries: list[Entry] = []
    section, in_body, body = "", False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            if in_body:
                entries[-1].body = body.encode()
            in_body, body = not in_body, ""
        elif in_body:
            body += line + "\n"
        elif line.strip() and not line.startswith("#"):
            section = _parse_line(line.strip(), entries, section)
    return entries


def _parse_line(line: str, entries: list[Entry], section: str) -> str:
    """Add a line to the last entry, or begin the next one. Return the section that the next line is in."""
    if request := _REQUEST.fullmatch(line):
        entries.append(Entry(request[1], request[2]))
        return "request"
    if status := _STATUS.fullmatch(line):
        entries[-1].status = status[1]
        return "response"
    if line in ("[Captures]", "[Asserts]"):
        return line
    if section == "request" and (header := _HEADER.fullmatch(line)):
        entries[-1].headers.append((header[1], header[2].strip()))
    elif section == "[Captures]" and (capture := _CAPTURE.fullmatch(line)):
        entries[-1].captures.append((capture[1], capture[2]))
    elif section == "[Asserts]" and (found := _ASSERT.fullmatch(line)):
        entries[-1].asserts.append((found[1], found[2], found[3] or ""))
    else:
        raise UnsupportedSyntax(line)
    return section


def run_file(path: Path, variables: Mapping[str, str]) -> None:
    """Run a file. Raises `Failed` at the first response that is not the expected one, and `UnsupportedSyntax`."""
    known = dict(variables)
    for number, entry in enumerate(parse(path.read_text(encoding="utf-8")), 1):
        status, headers = _send(entry, known)
        where = f"entry {number}, {entry.method} {_fill(entry.url, known)}"
        if entry.status not in (None, "*", str(status)):
            raise Failed(f"{where}: status {status}, not {entry.status}")
        for name, header in entry.captures:
            if header.lower() not in headers:
                raise Failed(f"{where}: no header {header} to capture")
            known[name] = headers[header.lower()]
        for subject, predicate, argument in entry.asserts:
            if not _holds(subject, predicate, _fill(argument, known), status, headers):
                raise Failed(f"{where}: {subject} {predicate} {argument} does not hold: {status}, {headers}")


def _send(entry: Entry, variables: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of the response; names in lower case."""
    url = urlsplit(_fill(entry.url, variables))
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Failed(f"no URL to request: {_fill(entry.url, variables)!r}")
    kind = http.client.HTTPConnection if url.scheme == "http" else http.client.HTTPSConnection
    connection = kind(url.hostname, url.port, timeout=_TIMEOUT_SECONDS)
    try:
        target = url.path + (f"?{url.query}" if url.query else "")
        connection.putrequest(entry.method, target, skip_accept_encoding=True)
        for name, value in entry.headers:
            connection.putheader(name, _fill(value, variables))
        if entry.body is not None or entry.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(entry.body or b"")))
        connection.endheaders(entry.body)
        response = connection.getresponse()
        response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def _fill(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables[found[1]], text)


def _holds(subject: str, predicate: str, argument: str, status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an assertion holds. A header that does not exist fulfills no predicate but `not exists`."""
    value = str(status) if subject.startswith("status") else headers.get(subject.split('"')[1].lower())
    if predicate in ("exists", "not exists"):
        return (value is not None) is (predicate == "exists")
    if value is None:
        return False
    if not argument.startswith(('"', "/")):
        return _COMPARISONS[predicate](int(value), int(argument))
    text = argument[1:-1].replace("\\\\", "\\")
    return _TEXT_PREDICATES[predicate](value, text)


_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "==": lambda value, expected: value == expected,
    "!=": lambda value, expected: value != expected,
    ">=": lambda value, expected: value >= expected,
    "<=": lambda value, expected: value <= expected,
    ">": lambda value, expected: value > expected,
    "<": lambda value, expected: value < expected,
}

_TEXT_PREDICATES: Mapping[str, Callable[[str, str], bool]] = {
    "==": lambda value, expected: value == expected,
    "!=": lambda value, expected: value != expected,
    "contains": lambda value, expected: expected in value,
    "startsWith": lambda value, expected: value.startswith(expected),
    "matches": lambda value, expected: re.search(expected, value) is not None,
}
