"""What template.yaml lets each function do, and whether a call is within it: IAM, as far as Ferry's policies use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from local.stack import PSEUDO
from local.template import Template, load
from tests.support.template import TEMPLATE

KNOWN_CONDITIONS = ("ForAllValues:StringEquals", "ForAllValues:StringLike")
RESOURCE_TAG = "aws:ResourceTag/"
OWN_KMS = f"arn:aws:kms:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:"
LEADING_KEYS = "dynamodb:LeadingKeys"


@dataclass(frozen=True, order=True)
class Grant:
    """An action on a resource, which is `Bucket/o/*` or `LedgerTable/index/due`: logical ids instead of ARNs.

    `leading_keys` are the patterns that the partition keys of a table's items must match, None where all are allowed.
    `tag` is what the resource must be tagged with: only that makes a resource by wildcard bearable.
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
    template = Template(load(TEMPLATE), {}, references=lambda name: name, attribute=lambda name, _: name, pseudo=PSEUDO)
    return tuple(
        grant
        for function, body in template.resources("AWS::Serverless::Function").items()
        for policy in template.resolve(body["Properties"].get("Policies", []))
        for statement in policy["Statement"]
        for grant in _grants_of(function, statement)
    )


def _grants_of(function: str, statement: Mapping[str, Any]) -> list[Grant]:
    assert statement["Effect"] == "Allow"
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    condition = dict(statement.get("Condition", {}))
    tag = _tag(condition.pop("StringEquals", {}))
    keys = _leading_keys(condition)
    return [
        Grant(function, action, resource.removeprefix(OWN_KMS), keys, tag)
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    ]


def _tag(tested: Mapping[str, Any]) -> tuple[str, str] | None:
    if not tested:
        return None
    ((name, value),) = tested.items()
    assert name.startswith(RESOURCE_TAG)
    return name.removeprefix(RESOURCE_TAG), value


def _leading_keys(condition: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Fails on a condition that is not understood here: nothing is to be taken for granted that AWS might refuse."""
    if not condition:
        return None
    ((operator, tested),) = condition.items()
    assert operator in KNOWN_CONDITIONS
    assert tested.keys() == {LEADING_KEYS}
    keys = tuple(tested[LEADING_KEYS])
    assert operator.endswith("StringLike") or not any("*" in key for key in keys)
    return keys


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]
