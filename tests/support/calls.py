"""Compare the AWS calls of functions with the permissions in template.yaml."""

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
    """A call that a function made."""

    function: str
    """Logical id of the function."""
    permission: RequiredPermission
    """The permission that it needs. The resource is in the template's terms (`Bucket/o/…`)."""

    @property
    def matching_grants(self) -> list[Grant]:
        """Return the grants that allow it. Without any, AWS would deny the call."""
        action, resource, keys = self.permission
        return [grant for grant in grants() if grant.function == self.function and grant.covers(action, resource, keys)]


def to_template_terms(permission: RequiredPermission) -> RequiredPermission:
    """Replace the environment variable in the resource by the logical id of the resource that the variable names."""
    head, slash, rest = permission.resource.partition("/")
    return (
        permission._replace(resource=f"{_resource_by_variable()[head]}{slash}{rest}")
        if head.startswith("$")
        else permission
    )


@cache
def _resource_by_variable() -> Mapping[str, str]:
    """Return the logical id of the resource that each variable names, by `$FERRY_BUCKET` and so on."""
    source = load_template(TEMPLATE)
    levels = [source["Globals"]["Function"], *(body["Properties"] for body in source["Resources"].values())]
    variables = [level.get("Environment", {}).get("Variables", {}) for level in levels]
    found: dict[str, str] = {}
    for level in variables:
        for name, value in level.items():
            reference = value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value
            # `CleanupFunction.Alias` names the function's alias.
            resource = str(reference.get("Ref")).partition(".")[0] if isinstance(reference, dict) else ""
            if resource in source["Resources"]:
                found[f"${name}"] = resource
    return found


def denied_calls(calls: Iterable[FunctionCall]) -> list[str]:
    """Return the calls that no grant allows, as text."""
    return sorted({f"{call.function}: {call.permission}" for call in calls if not call.matching_grants})


def read_recorded_calls(path: Path) -> Iterator[FunctionCall]:
    """Yield the calls that `python -m dev.local --record-calls` has recorded."""
    for line in path.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        permission = RequiredPermission(entry["action"], entry["resource"], tuple(entry["keys"]))
        yield FunctionCall(entry["function"], to_template_terms(permission))


@dataclass
class CallWatcher:
    """Records the calls of functions that run in this process. Calls of the tests themselves are left out."""

    calls: list[FunctionCall] = field(default_factory=list)
    _function: str | None = None

    def attach(self, session: Session) -> None:
        """Record the calls of all clients that the session creates from now on."""
        record_session(session, self._record)

    @contextmanager
    def assert_permitted(self, function: str) -> Iterator[None]:
        """Record calls as those of the function (its logical id), and fail at the end if one is not allowed."""
        previous, first = self._function, len(self.calls)
        self._function = function
        try:
            yield
        finally:
            self._function = previous
        assert not denied_calls(self.calls[first:]), denied_calls(self.calls[first:])

    def _record(self, permission: RequiredPermission) -> None:
        if self._function is not None:
            self.calls.append(FunctionCall(self._function, to_template_terms(permission)))
