"""What template.yaml lets each function do, and whether a call is within it: IAM, as far as Ferry's policies use it."""

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
    """An action on a resource, which is `Bucket/o/*` or `MetadataTable/index/due_tasks`: logical ids instead of ARNs.

    `leading_keys` are the patterns that the partition keys of a table's items must match, None where all are allowed;
    `tag` is the name and the value that a resource must be tagged with.
    """

    function: str
    action: str
    resource: str
    leading_keys: tuple[str, ...] | None = None
    tag: tuple[str, str] | None = None

    def covers(self, action: str, resource: str, keys: Sequence[str] = ()) -> bool:
        """Whether IAM would let the call through by this grant alone."""
        if action != self.action or not fnmatchcase(resource, self.resource):
            return False
        allowed = self.leading_keys
        return allowed is None or all(any(fnmatchcase(key, pattern) for pattern in allowed) for key in keys)


@cache
def grants() -> tuple[Grant, ...]:
    """Every grant of every function, in the template's order."""
    source = load_template(TEMPLATE)
    template = Template(
        source,
        {},
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
    """Leading keys and tag. Fails on what is not understood here: AWS might refuse what would be taken for granted."""
    keys: tuple[str, ...] | None = None
    tag: tuple[str, str] | None = None
    for operator, tested in condition.items():
        ((name, value),) = tested.items()
        if name == LEADING_KEYS:
            assert operator in ("ForAllValues:StringEquals", "ForAllValues:StringLike")
            keys = tuple(value)
            assert operator.endswith("StringLike") or not any("*" in key for key in keys)
        else:
            assert (operator, name.startswith(RESOURCE_TAG)) == ("StringEquals", True), f"{operator}: {tested}"
            tag = (name.removeprefix(RESOURCE_TAG), value)
    return keys, tag


def _as_list(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]
