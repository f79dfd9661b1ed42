"""The differences between `sam local start-api` and AWS, by test. docs/local-development.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class KnownDifference:
    """A difference, and the tests that must fail behind SAM CLI because of it."""

    tests: tuple[str, ...]
    """Patterns of node ids below tests/e2e."""
    on_aws: str
    """What AWS does: a sentence."""
    sam_local: str
    """What SAM CLI does instead: a sentence."""

    @property
    def reason(self) -> str:
        return f"On AWS: {self.on_aws} `sam local`: {self.sam_local}"

    def matches(self, nodeid: str) -> bool:
        below = nodeid.rpartition("tests/e2e/")[2]
        return any(fnmatchcase(below, pattern) for pattern in self.tests)


_LARGE = "test_download_table.py::test_download_row_matches_rfc_9110?table large-"
_OTHER = '"0123456789abcdef*'

KNOWN_DIFFERENCES = (
    KnownDifference(
        ("test_bad_input.py::test_unknown_route_returns_gateway_404*",),
        "An unknown route is 404 `Not Found`.",
        "An unknown route is 403 `Missing Authentication Token`.",
    ),
    KnownDifference(
        ("test_bad_input.py::test_oversized_request_returns_413",),
        "Requests over 10 MB, or over 6 MB for the function, are 413; long headers are 431.",
        "It accepts any size, forwards a part of it, and returns the runtime's error with status 200.",
    ),
    KnownDifference(
        (
            "test_links.py::test_hostile_path_leaves_no_folder?*-//uploads?",
            "test_links.py::test_hostile_path_leaves_no_folder?upload-%2fuploads?",
        ),
        "A doubled slash is an empty segment and an encoded one separates none, so that no route matches.",
        "It redirects a doubled slash to the path with one, and takes an encoded slash for a separator.",
    ),
    KnownDifference(
        ("test_uploads.py::test_json_chunks_follow_contract",),
        "A chunk in JSON has up to 4 MiB, because the gateway passes JSON on as text.",
        "It encodes JSON in base64 too, so that a chunk in JSON has up to about 3 MiB.",
    ),
    KnownDifference(
        ("test_bad_input.py::test_more_requests_than_instances_return_429",),
        "More concurrent requests than a function has instances are 429.",
        "They wait for one another.",
    ),
    KnownDifference(
        (
            "test_attacks.py::test_path_with_hostile_bytes_rejected?/download/{}-%0d%0a*",
            "test_attacks.py::test_path_with_hostile_bytes_rejected?/status/{}-%0d%0a*",
            "test_filenames.py::test_invalid_name_in_path_returns_problem?%0a?",
        ),
        "A line break in a path reaches the function, which rejects the name.",
        "Its router matches no line break and answers 403, as for an unknown route.",
    ),
    KnownDifference(
        (
            "test_http_rules.py::test_bent_or_unknown_text_returns_422?GET-/download?filename=caf%E9?",
            "test_http_rules.py::test_bent_or_unknown_text_returns_422?GET-/files?prefix=caf%E9?",
            "test_http_rules.py::test_bent_or_unknown_text_returns_422?DELETE-/cleanup*",
        ),
        "Bytes of a query that are not UTF-8 reach the function, which rejects them.",
        "Its gateway leaves such bytes percent-encoded, so that they arrive as ordinary characters.",
    ),
    KnownDifference(
        ("test_cors.py::test_cors_local_origin_allowed*",),
        "The gateway adds CORS headers to every response, as the template's `CorsConfiguration` says.",
        "It answers preflight requests and adds nothing to other responses.",
    ),
    KnownDifference(
        ("test_first_deploy.py::test_call_answers_as_documented?6. *",),
        "A preflight request is 204.",
        "A preflight request is 200.",
    ),
    KnownDifference(
        (
            f"{_LARGE}14.1.1 GET Range: bytes=9-5?",
            f"{_LARGE}14.1.2 GET Range: bytes=9-99999999999999999999999999?",
            f"{_LARGE}14.2 GET Range: bytes=a-b?",
            f"{_LARGE}14.2 GET Range: bytes=-?",
            f"{_LARGE}14.2 GET Range: bytes=0x1-2?",
            f"{_LARGE}13.1.3 GET If-Modified-Since: yesterday?",
            f"{_LARGE}13.1.4 GET If-Unmodified-Since: yesterday?",
        ),
        "After a redirect, S3 ignores a malformed `Range` or date.",
        "The client reaches SeaweedFS directly, which interprets them differently.",
    ),
    KnownDifference(
        (
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: W/{{etag}}?",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: {_OTHER}",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: Sat, 01 Jan 2000 00:00:00 GMT?",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: Fri, 31 Dec 2049 23:59:59 GMT?",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: [*]?",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: yesterday?",
            f"{_LARGE}13.1.5 GET Range: bytes=5-9 If-Range: {{etag}}, {{etag}}?",
            f"{_LARGE}13.1.5 GET Range: bytes={{size}}- If-Range: {_OTHER}",
            f"{_LARGE}13.2.2 GET If-Match: {{etag}} Range: bytes=5-9 If-Range: {_OTHER}",
            "test_download_table.py::test_download_client_disconnect_leaves_service_running",
        ),
        "After a redirect, S3 evaluates `If-Range`.",
        "The client reaches SeaweedFS directly, which does not support `If-Range`.",
    ),
    KnownDifference(
        ("test_events.py::*",),
        "Changes are published on the event bus.",
        "There is no event bus, so no event is published.",
    ),
)
