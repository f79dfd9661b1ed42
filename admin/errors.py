"""What goes wrong before an operator's eyes."""

from __future__ import annotations


class AdminError(Exception):
    """Nothing was changed. `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
