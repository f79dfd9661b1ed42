"""`python -m dev.template.checkov CHECKOV` runs a security linter over what is deployed, SAM's roles and permissions included.

Every finding is mended or has its reason here; a reason that no finding needs any more is an error too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dev.docker.errors import SamError
from dev.paths import ROOT
from dev.template.sam_transform import package_template, transform_template

WORK_FOLDER = ROOT / "build" / "lint-template"
MONITORING_TEMPLATE = "monitoring.yaml"
SUPPRESSIONS = {
    ("CKV_AWS_18", "AWS::S3::Bucket.Bucket"): (
        "Every URL is signed by a function whose requests are logged. Who must see each GET too "
        "turns on CloudTrail's data events for the bucket, which cost by the request."
    ),
    ("CKV_AWS_21", "AWS::S3::Bucket.Bucket"): (
        "An object is written once under a key of its own and never overwritten; what was replaced or deleted stays "
        "for a day. Versions would only keep what a client was told is gone."
    ),
    ("CKV_AWS_27", "AWS::SQS::Queue.DeadLetterQueue"): "Encrypted by SQS's own key; the messages are ids of uploads.",
    ("CKV_AWS_115", "AWS::Lambda::Function.*"): (
        "The gateway's throttles bound concurrency, route by route. A reservation fails on accounts that begin "
        "with 10, and takes from others what it does not use."
    ),
    ("CKV_AWS_116", "AWS::Lambda::Function.*"): (
        "For calls that nobody waits for the clean-up function's alias has a queue (EventInvokeConfig); the other "
        "functions are called by clients only, who are told."
    ),
    ("CKV_AWS_117", "AWS::Lambda::Function.*"): (
        "They speak to S3, DynamoDB, KMS and Lambda only, over TLS and by IAM. A VPC would add NAT, and a cold start."
    ),
    ("CKV_AWS_119", "AWS::DynamoDB::Table.*"): (
        "Encrypted by DynamoDB's own KMS key. A customer's key costs KMS calls, and its policy is the "
        "owner's to write: set KMSMasterKeyId."
    ),
    (
        "CKV_AWS_158",
        "AWS::Logs::LogGroup.*",
    ): "Encrypted by CloudWatch's own key; no name, body, header or token is logged.",
    ("CKV_AWS_173", "AWS::Lambda::Function.*"): "Names and numbers. There is no secret in any function's environment.",
}


def main() -> int:
    """Exit codes: 0 nothing unreasoned, 1 something, and it was said."""
    (checkov,) = sys.argv[1:]
    WORK_FOLDER.mkdir(parents=True, exist_ok=True)
    target = WORK_FOLDER / "template.json"
    target.write_text(json.dumps(transform_template(package_template()), indent=1), encoding="utf-8")
    try:
        passed, found = run_checkov(Path(checkov), [str(target), MONITORING_TEMPLATE])
    except SamError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    unreasoned = sorted(finding for finding in found if not _suppressions_for(*finding[:2]))
    needless = sorted(
        key for key in SUPPRESSIONS if not any(key in _suppressions_for(*finding[:2]) for finding in found)
    )
    for check, resource, name in unreasoned:
        sys.stderr.write(f"{check} {resource}: {name}\n")
    for check, resource in needless:
        sys.stderr.write(f"{check} {resource}: dev/template/checkov.py has a reason for a finding that is not there\n")
    print(
        f"checkov: {passed} passed, {len(found) - len(unreasoned)} with a reason in dev/template/checkov.py, "
        f"{len(unreasoned)} without"
    )
    return 1 if unreasoned or needless else 0


def run_checkov(checkov: Path, templates: list[str]) -> tuple[int, list[tuple[str, str, str]]]:
    """How many checks passed, and the findings: check, resource, what the check is about. Raises `SamError`."""
    command = [str(checkov), "--framework", "cloudformation", "--skip-download", "--output", "json", "--quiet"]
    for template in templates:
        command += ["--file", template]
    # It looks for configurations where it is told that home is, and would rather speak to its makers.
    env = {**os.environ, "HOME": str(WORK_FOLDER), "CKV_IGNORE_HIDDEN_DIRECTORIES": "true", "BC_SKIP_MAPPING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    try:
        report: Any = json.loads(done.stdout)
    except ValueError:
        raise SamError(f"checkov said nothing that can be read:\n{done.stdout[-500:]}{done.stderr[-2000:]}") from None
    summary = report["summary"]
    if summary["parsing_errors"] or not summary["passed"]:
        raise SamError(f"checkov could not read the templates: {summary}")
    failed = report["results"]["failed_checks"]
    return summary["passed"], [(entry["check_id"], entry["resource"], entry["check_name"]) for entry in failed]


def _suppressions_for(check: str, resource: str) -> list[tuple[str, str]]:
    return [key for key in SUPPRESSIONS if key[0] == check and fnmatchcase(resource, key[1])]


if __name__ == "__main__":
    sys.exit(main())
