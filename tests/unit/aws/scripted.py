"""Clients with scripted responses, and botocore's errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from ferry.aws.session import AwsSession


class ScriptedClient:
    """A botocore client whose calls take one step each: an exception is raised, anything else is the response."""

    def __init__(self, *steps: object) -> None:
        self.steps: list[object] = list(steps)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """Method and parameters of each call."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(**params: object) -> object:
            self.calls.append((name, params))
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            return step

        return call

    @property
    def methods(self) -> list[str]:
        return [name for name, _ in self.calls]


def client_error(code: str, **more: object) -> ClientError:
    """Return the error that botocore raises for a response with this code."""
    response: Any = {"Error": {"Code": code, "Message": "scripted"}, **more}
    return ClientError(response, "Scripted")


def transaction_canceled(*reasons: str) -> ClientError:
    """Return the error of a canceled transaction with a reason for each row."""
    return client_error("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


class RecordedSleeps(list[float]):
    """Replaces `time.sleep` and records the seconds."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def make_session(**endpoints: str) -> AwsSession:
    return AwsSession(endpoints)


def repeat(step: object, times: int) -> Sequence[object]:
    return [step] * times
