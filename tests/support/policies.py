"""The permissions that template.yaml grants each function, and whether they cover a call.

Covers as much of IAM as the template uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from dev.local.stack import PSEUDO_PARAMETERS
from dev.local.template import Template, load_template
from dev.testing.template import TEMPLATE

LEADING_KEYS = "dynamodb:LeadingKeys"
KMS_ARN_PREFIX = f"arn:aws:kms:{PSEUDO_PARAMETERS['AWS::Region']}:{PSEUDO_PARAMETERS['AWS::AccountId']}:"
RESOURCE_TAG = "aws:ResourceTag/"


@dataclass(frozen=True, order=True)
class Grant:
    """A permission of a function."""

    function: str
    """Logical id of the function."""
    action: str
    """Action of IAM, such as `s3:GetObject`."""
    resource: str
    """Logical id and path instead of an ARN: `Bucket/o/*`, `MetadataTable/index/due_tasks`."""
    leading_keys: tuple[str, ...] | None = None
    """Patterns that the partition keys of a table's items must match; None for any key."""
    tag: tuple[str, str] | None = None
    """Name and value of a tag that the resource must have."""

    def covers(self, action: str, resource: str, keys: Sequence[str] = ()) -> bool:
        """Return whether this grant alone allows the call."""
        if action != self.action or not fnmatchcase(resource, self.resource):
            return False
        allowed = self.leading_keys
        return allowed is None or all(any(fnmatchcase(key, pattern) for pattern in allowed) for key in keys)


@cache
def grants() -> tuple[Grant, ...]:
    """Return every grant of every function, in the template's order."""
    source = load_template(TEMPLATE)
    template = Template(
        source,
        {"ChunkEndpoint": "FunctionUrl"},
        resolve_reference=lambda name: name,
        resolve_attribute=lambda name, _: name,
        pseudo_parameters=PSEUDO_PARAMETERS,
    )
    return tuple(
        grant
        for function, body in template.resources("AWS::Serverless::Function").items()
        for policy in template.resolve(body["Properties"].get("Policies", []))
        for statement in policy["Statement"]
        for grant in _statement_grants(function, statement)
    )


def _statement_grants(function: str, statement: Mapping[str, Any]) -> list[Grant]:
    assert statement["Effect"] == "Allow"
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    keys, tag = _parse_condition(statement.get("Condition", {}))
    return [
        Grant(function, action, resource.removeprefix(KMS_ARN_PREFIX), keys, tag)
        for action in _as_list(statement["Action"])
        for resource in _as_list(statement["Resource"])
    ]


def _parse_condition(condition: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, str] | None]:
    """Return leading keys and tag. Fails on any other condition, since it might deny what counts as allowed here."""
    keys: tuple[str, ...] | None = None
    tag: tuple[str, str] | None = None
    for operator, operands in condition.items():
        ((name, value),) = operands.items()
        if name == LEADING_KEYS:
            assert operator in ("ForAllValues:StringEquals", "ForAllValues:StringLike")
            keys = tuple(value)
            assert operator.endswith("StringLike") or not any("*" in key for key in keys)
        else:
            assert (operator, name.startswith(RESOURCE_TAG)) == ("StringEquals", True), f"{operator}: {operands}"
            tag = (name.removeprefix(RESOURCE_TAG), value)
    return keys, tag


def _as_list(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]
