"""The nets behind the clean-up (lifecycle rules, DynamoDB's TTL, the search for orphans) never reach what lives.

All of them count from when something was made; so each must lie beyond the longest that an upload can last, for the
greatest values that the parameters allow.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ferry.aws.upload_repository import ROW_TTL_SECONDS
from ferry.cleanup.orphan_scan import MIN_MULTIPART_AGE_MS, MIN_ORPHAN_AGE_MS
from ferry.files.delete import OBJECT_RETENTION_MS
from ferry.rules.durations import HOUR_MS, SECOND_MS
from ferry.rules.layout import MAX_PARTS
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.start import CREATING_TIMEOUT_MS
from ferry.uploads.terminate import ENDED_RETENTION_MS

DAY_SECONDS = 86_400
SWEEP_INTERVAL_SECONDS = 3_600
"""Seconds between two runs of the schedule, at the slowest that the alarm on stale sessions puts up with."""
RESTORE_WINDOW_SECONDS = 35 * DAY_SECONDS
"""How far back DynamoDB's point-in-time recovery reaches, in seconds."""


def max_value(template: Any, parameter: str) -> int:
    value: int = template["Parameters"][parameter]["MaxValue"]
    return value


def env_variable(template: Any, function: str, name: str) -> int:
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
    return int({**common, **own}[name])


def max_upload_lifetime_seconds(template: Any) -> int:
    """Seconds from the start of an upload to the end of a completion that began in its last moment: every part still to
    be put together at one a second, handed on from run to run, each of which dies and lets its lease lapse.
    """
    mending = env_variable(template, "CleanupFunction", "FERRY_ASSEMBLY_BUDGET_SECONDS")
    lease = env_variable(template, "CleanupFunction", "FERRY_LEASE_SECONDS")
    rounds = -(-MAX_PARTS // mending)
    return max_value(template, "UploadMaxAgeSeconds") + rounds * (mending + lease + SWEEP_INTERVAL_SECONDS)


def retention_margins(template: Any) -> dict[str, float]:
    """By how many seconds each net lies beyond what it must not reach."""
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    lived = max_upload_lifetime_seconds(template)
    longest_request = max(
        template["Globals"]["Function"]["Timeout"],
        *(body["Properties"].get("Timeout", 0) for body in template["Resources"].values() if "Properties" in body),
    )
    url = max_value(template, "PresignedUrlTtlSeconds")
    return {
        "lifecycle of multipart uploads": by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        * DAY_SECONDS
        - lived,
        "lifecycle of stages": by_prefix["st/"]["ExpirationInDays"] * DAY_SECONDS - lived,
        "TTL of claims and progress": ROW_TTL_SECONDS - lived,
        "lifecycle of what the search would take": by_prefix["st/"]["ExpirationInDays"] * DAY_SECONDS
        - MIN_ORPHAN_AGE_MS / SECOND_MS,
        "search, of no session": MIN_ORPHAN_AGE_MS / SECOND_MS
        - max_value(template, "UploadMaxAgeSeconds")
        - DAY_SECONDS
        + 1,
        "search, of a session": MIN_MULTIPART_AGE_MS / SECOND_MS - longest_request - CREATING_TIMEOUT_MS / SECOND_MS,
        "objects that a restored ledger forgot": template["Parameters"]["OrphanRetentionDays"]["Default"] * DAY_SECONDS
        - RESTORE_WINDOW_SECONDS
        + 1,
        "memory of ended sessions": ENDED_RETENTION_MS / SECOND_MS - 2 * DAY_SECONDS,
        "a replaced object, for downloads": OBJECT_RETENTION_MS / SECOND_MS - url - longest_request,
        "second look at an ended upload": HOUR_MS / SECOND_MS - longest_request,
        "a completion inside S3": PRIOR_ATTEMPT_WINDOW_MS / SECOND_MS - template["Globals"]["Function"]["Timeout"],
    }


def test_retention_exceeds_max_lifetime(template: Any) -> None:
    """For the greatest values that the parameters allow."""
    assert {name for name, margin in retention_margins(template).items() if margin <= 0} == set()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("UploadMaxAgeSeconds", 8 * DAY_SECONDS),
        ("UploadMaxAgeSeconds", 14 * DAY_SECONDS),
        ("PresignedUrlTtlSeconds", DAY_SECONDS),
    ],
)
def test_larger_parameter_breaks_margins(template: Any, parameter: str, value: int) -> None:
    """Whoever raises one of them finds this test before the nets find an upload."""
    raised = copy.deepcopy(template)
    raised["Parameters"][parameter]["MaxValue"] = value
    assert min(retention_margins(raised).values()) <= 0


@pytest.mark.parametrize(("function", "name", "value"), [("CleanupFunction", "FERRY_ASSEMBLY_BUDGET_SECONDS", "60")])
def test_slower_completion_breaks_margins(template: Any, function: str, name: str, value: str) -> None:
    """Less time in each run makes more of them."""
    slower = copy.deepcopy(template)
    slower["Resources"][function]["Properties"]["Environment"]["Variables"][name] = value
    assert min(retention_margins(slower).values()) <= 0


def test_idle_timeout_is_within_max_age(template: Any) -> None:
    """An upload expires at the earlier of the two, so the greatest age is what the nets are measured by."""
    assert max_value(template, "UploadIdleTimeoutSeconds") <= max_value(template, "UploadMaxAgeSeconds")


def test_orphan_retention_may_be_zero(template: Any) -> None:
    """0 keeps them for ever, which an operator may choose; the default is as long as a ledger can be restored."""
    parameter = template["Parameters"]["OrphanRetentionDays"]
    assert (parameter["MinValue"], parameter["Default"]) == (0, 35)
