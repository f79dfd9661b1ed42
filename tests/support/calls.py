"""What was called at AWS, held against what template.yaml grants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.local.call_recorder.sitecustomize import RequiredPermission, record_session
from dev.local.template import load_template
from dev.testing.template import TEMPLATE
from tests.support.policies import Grant, grants

if TYPE_CHECKING:
    from botocore.session import Session


@dataclass(frozen=True)
class FunctionCall:
    """A function needed a permission; the resource is in the template's terms (`Bucket/o/…`)."""

    function: str
    permission: RequiredPermission

    @property
    def matching_grants(self) -> list[Grant]:
        """What lets it through; nothing: AWS would refuse it."""
        action, resource, keys = self.permission
        return [grant for grant in grants() if grant.function == self.function and grant.covers(action, resource, keys)]


def to_template_terms(permission: RequiredPermission) -> RequiredPermission:
    """The variable that told the function a name, replaced by the resource whose name it holds."""
    head, slash, rest = permission.resource.partition("/")
    return (
        permission._replace(resource=f"{_resource_by_variable()[head]}{slash}{rest}")
        if head.startswith("$")
        else permission
    )


@cache
def _resource_by_variable() -> Mapping[str, str]:
    """Resources by the variable (`$FERRY_BUCKET`) that holds their name."""
    source = load_template(TEMPLATE)
    levels = [source["Globals"]["Function"], *(body["Properties"] for body in source["Resources"].values())]
    variables = [level.get("Environment", {}).get("Variables", {}) for level in levels]
    found: dict[str, str] = {}
    for level in variables:
        for name, value in level.items():
            given = value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value
            # `CleanupFunction.Alias` is an alias of it.
            resource = str(given.get("Ref")).partition(".")[0] if isinstance(given, dict) else ""
            if resource in source["Resources"]:
                found[f"${name}"] = resource
    return found


def denied_calls(calls: Iterable[FunctionCall]) -> list[str]:
    """What AWS would refuse, as text."""
    return sorted({f"{call.function}: {call.permission}" for call in calls if not call.matching_grants})


def read_recorded_calls(path: Path) -> Iterator[FunctionCall]:
    """The calls of a local run that was started with `--record-calls`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        need = RequiredPermission(entry["action"], entry["resource"], tuple(entry["keys"]))
        yield FunctionCall(entry["function"], to_template_terms(need))


@dataclass
class CallWatcher:
    """The calls that functions make within this process, each while it is `at` work. Tests' own calls do not count."""

    calls: list[FunctionCall] = field(default_factory=list)
    _function: str | None = None

    def attach(self, session: Session) -> None:
        """All clients that the session makes from now on."""
        record_session(session, self._record)

    @contextmanager
    def assert_permitted(self, function: str) -> Iterator[None]:
        """Fails afterwards if the function, by its logical id, called what it may not."""
        before, began = self._function, len(self.calls)
        self._function = function
        try:
            yield
        finally:
            self._function = before
        assert not denied_calls(self.calls[began:]), denied_calls(self.calls[began:])

    def _record(self, permission: RequiredPermission) -> None:
        if self._function is not None:
            self.calls.append(FunctionCall(self._function, to_template_terms(permission)))
