"""A client of botocore's that answers by script, and the errors it may raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from ferry.aws.session import AwsSession


class ScriptedClient:
    """Each call takes the next step: an exception is raised, anything else is the answer. `calls` has them all."""

    def __init__(self, *steps: object) -> None:
        self.steps: list[object] = list(steps)
        self.calls: list[tuple[str, dict[str, Any]]] = []

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
    """What botocore raises for an error answer of that code."""
    answer: Any = {"Error": {"Code": code, "Message": "by script"}, **more}
    return ClientError(answer, "Scripted")


def transaction_canceled(*reasons: str) -> ClientError:
    """A transaction that did not go through, with a reason for each row."""
    return client_error("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


class RecordedSleeps(list[float]):
    """Takes the place of `time.sleep`, and notes the seconds."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def make_session(**endpoints: str) -> AwsSession:
    return AwsSession(endpoints)


def repeat(step: object, times: int) -> Sequence[object]:
    return [step] * times
