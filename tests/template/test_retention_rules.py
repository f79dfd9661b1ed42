"""The fallbacks of the cleanup (lifecycle rules, DynamoDB's TTL, the orphan scan) never delete what is in use.

All of them count from a creation time, so each must exceed the longest time that an upload can last, for the largest
values that the parameters allow.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ferry.aws.chunk_digests import ROW_TTL_SECONDS
from ferry.cleanup.orphan_scan import MIN_MULTIPART_AGE_MS, MIN_ORPHAN_AGE_MS
from ferry.rules.durations import HOUR_MS, SECOND_MS
from ferry.rules.layout import MAX_PARTS
from ferry.uploads.build_object import PRIOR_ATTEMPT_WINDOW_MS
from ferry.uploads.start import CREATING_TIMEOUT_MS
from ferry.uploads.terminate import ENDED_RETENTION_MS

DAY_SECONDS = 86_400
SWEEP_INTERVAL_SECONDS = 3_600
"""Time between two runs of the cleanup, at the slowest that raises no alarm on stale uploads."""
RESTORE_WINDOW_SECONDS = 35 * DAY_SECONDS
"""How far back DynamoDB's point-in-time recovery reaches."""


def max_value(template: Any, parameter: str) -> int:
    value: int = template["Parameters"][parameter]["MaxValue"]
    return value


def env_variable(template: Any, function: str, name: str) -> int:
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
    return int({**common, **own}[name])


def max_upload_lifetime_seconds(template: Any) -> int:
    """Return the longest time from the start of an upload to the end of its completion.

    The completion starts in the last moment, assembles one part a second, and continues from run to run, each of which
    crashes and lets its lease expire.
    """
    assembly = env_variable(template, "CleanupFunction", "FERRY_ASSEMBLY_BUDGET_SECONDS")
    lease = env_variable(template, "CleanupFunction", "FERRY_LEASE_SECONDS")
    rounds = -(-MAX_PARTS // assembly)
    return max_value(template, "UploadMaxAgeSeconds") + rounds * (assembly + lease + SWEEP_INTERVAL_SECONDS)


def retention_margins(template: Any) -> dict[str, float]:
    """Return by how many seconds each fallback exceeds the time that it must not fall below."""
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    multipart_rule = by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] * DAY_SECONDS
    staged_chunk_rule = by_prefix["st/"]["ExpirationInDays"] * DAY_SECONDS
    lifetime = max_upload_lifetime_seconds(template)
    max_age = max_value(template, "UploadMaxAgeSeconds")
    url_ttl = max_value(template, "PresignedUrlTtlSeconds")
    timeout = template["Globals"]["Function"]["Timeout"]
    longest_timeout = max(
        timeout,
        *(body["Properties"].get("Timeout", 0) for body in template["Resources"].values() if "Properties" in body),
    )
    orphan_age, multipart_age = MIN_ORPHAN_AGE_MS / SECOND_MS, MIN_MULTIPART_AGE_MS / SECOND_MS
    orphan_retention = template["Parameters"]["OrphanRetentionDays"]["Default"] * DAY_SECONDS
    deleted_file_retention = template["Parameters"]["DeletedFileRetentionDays"]["MinValue"] * DAY_SECONDS
    return {
        "lifecycle of multipart uploads": multipart_rule - lifetime,
        "lifecycle of staged chunks": staged_chunk_rule - lifetime,
        "lifecycle of staged chunks that the orphan scan deletes": staged_chunk_rule - orphan_age,
        "TTL of chunk digests and progress shards": ROW_TTL_SECONDS - lifetime,
        "orphan scan, objects without an upload record": orphan_age - max_age - DAY_SECONDS + 1,
        "orphan scan, multipart uploads": multipart_age - longest_timeout - CREATING_TIMEOUT_MS / SECOND_MS,
        "orphan retention after restoring the metadata table": orphan_retention - RESTORE_WINDOW_SECONDS + 1,
        "retention of ended upload records": ENDED_RETENTION_MS / SECOND_MS - 2 * DAY_SECONDS,
        "retention of a replaced object": deleted_file_retention - url_ttl - longest_timeout,
        "second purge of an ended upload": HOUR_MS / SECOND_MS - longest_timeout,
        "window for a completion that S3 still runs": PRIOR_ATTEMPT_WINDOW_MS / SECOND_MS - timeout,
    }


def test_retention_exceeds_max_lifetime(template: Any) -> None:
    """No fallback deletes what is in use, for the largest values that the parameters allow."""
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
    """A larger maximum of one of these parameters makes a fallback too short, which the margins show."""
    raised = copy.deepcopy(template)
    raised["Parameters"][parameter]["MaxValue"] = value
    assert min(retention_margins(raised).values()) <= 0


@pytest.mark.parametrize(("function", "name", "value"), [("CleanupFunction", "FERRY_ASSEMBLY_BUDGET_SECONDS", "60")])
def test_slower_completion_breaks_margins(template: Any, function: str, name: str, value: str) -> None:
    """Less time for assembly means more runs, which the margins show."""
    slower = copy.deepcopy(template)
    slower["Resources"][function]["Properties"]["Environment"]["Variables"][name] = value
    assert min(retention_margins(slower).values()) <= 0


def test_idle_timeout_is_within_max_age(template: Any) -> None:
    """An upload expires at the earlier of both times, so the maximum age bounds its lifetime."""
    assert max_value(template, "UploadIdleTimeoutSeconds") <= max_value(template, "UploadMaxAgeSeconds")


def test_deleted_files_are_kept_from_a_day_to_ninety(template: Any) -> None:
    """A deleted file can be restored for at least a day, within which downloads of it end, and for 90 at most."""
    parameter = template["Parameters"]["DeletedFileRetentionDays"]
    assert (parameter["MinValue"], parameter["Default"], parameter["MaxValue"]) == (1, 1, 90)


def test_orphan_retention_may_be_zero(template: Any) -> None:
    """0 keeps orphans forever; the default is as long as the metadata table can be restored."""
    parameter = template["Parameters"]["OrphanRetentionDays"]
    assert (parameter["MinValue"], parameter["Default"]) == (0, 35)
