"""The attribute `sequential` of an upload record, and its conversion to and from the model (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferry.model.sequential import LastAppend, PartClaim, Piece, Protocol, SequentialState, Source

_FLAGS = ("is_partial", "is_forgotten")


def to_attributes(state: SequentialState) -> dict[str, Any]:
    """Return the state as a map; what is None, False or empty has no attribute."""
    claim, last = state.claim, state.last_append
    return {
        "protocol": state.protocol.value,
        "last_activity_at": state.last_activity_at,
        "offset": state.offset,
        "crc32c": state.crc32c,
        "length": state.length,
        "pieces": [[piece.piece_id, piece.size, piece.crc32c] for piece in state.pieces] or None,
        "claim": [claim.offset, claim.digest, claim.expires_at] if claim else None,
        "last_append": [last.offset, last.digest] if last else None,
        "sources": [[source.upload_id, source.size, source.crc32c] for source in state.sources] or None,
        "echoed_headers": dict(state.echoed_headers) or None,
        **{name: getattr(state, name) or None for name in _FLAGS},
    }


def from_attributes(attributes: Mapping[str, Any]) -> SequentialState:
    claim, last = attributes.get("claim"), attributes.get("last_append")
    return SequentialState(
        protocol=Protocol(attributes["protocol"]),
        last_activity_at=attributes["last_activity_at"],
        offset=attributes["offset"],
        crc32c=attributes.get("crc32c"),
        length=attributes.get("length"),
        pieces=tuple(Piece(*values) for values in attributes.get("pieces", ())),
        claim=PartClaim(*claim) if claim else None,
        last_append=LastAppend(*last) if last else None,
        sources=tuple(Source(*values) for values in attributes.get("sources", ())),
        echoed_headers=attributes.get("echoed_headers", {}),
        **{name: attributes.get(name, False) for name in _FLAGS},
    )
