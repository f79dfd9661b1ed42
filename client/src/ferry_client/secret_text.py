"""Text whose `repr` hides it."""

from __future__ import annotations


class SecretText(str):
    """A secret. Its `repr` hides it: debuggers, notebooks and error reports show local variables by that."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"
