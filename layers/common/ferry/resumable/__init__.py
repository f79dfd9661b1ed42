"""Sequential uploads: bytes appended at an offset, for tus and the IETF draft (docs/decisions/0013)."""
