"""Response dataclasses as JSON values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from ferry.auth.oauth import OAuthError
from ferry.http.json_values import OMIT_NONE, Crc32c, Timestamp, to_json
from ferry.http.responses.members import Ranges
from ferry.http.responses.tokens import OAUTH_ERRORS


@dataclass(frozen=True, slots=True)
class Inner:
    at: Timestamp
    checksum: Crc32c


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner
    items: Sequence[Inner]
    ranges: Ranges
    nullable: str | None
    optional: str | None = field(default=None, metadata=OMIT_NONE)


def test_dataclass_is_serialized_with_its_members() -> None:
    """Times are RFC 3339, checksums base64; None is null, or absent where the field says so."""
    inner = Inner(Timestamp(1_790_000_000_123), Crc32c(1))
    value = to_json(Outer(inner, [inner], [(1, 3), (5, 5)], None))
    members = {"at": "2026-09-21T14:13:20.123Z", "checksum": "AAAAAQ=="}
    assert value == {"inner": members, "items": [members], "ranges": [(1, 3), (5, 5)], "nullable": None}
    assert json.loads(json.dumps(value))["ranges"] == [[1, 3], [5, 5]]


def test_optional_member_with_value_is_serialized() -> None:
    """An empty text is a value; only None is absent."""
    inner = Inner(Timestamp(0), Crc32c(0))
    assert to_json(Outer(inner, (), [], "", ""))["optional"] == ""


def test_oauth_errors_are_all_described() -> None:
    """The document lists every error that the token endpoint may return."""
    kinds: list[type[OAuthError]] = [OAuthError, *OAuthError.__subclasses__()]
    assert {kind.error for kind in kinds} <= set(OAUTH_ERRORS)
