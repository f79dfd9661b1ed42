"""Run the security linter checkov over the transformed templates: `python -m dev.template.checkov PYTHON`.

PYTHON is the interpreter of the environment that has checkov.

The transformed template includes the roles and permissions that SAM adds. Each finding is either fixed or suppressed
in `SUPPRESSIONS` with its reason. A suppression without a finding is an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from dev.errors import CheckError
from dev.paths import ROOT
from dev.template.sam_transform import package_template, transform_template

WORK_FOLDER = ROOT / "build" / "lint-template"
MONITORING_TEMPLATE = "monitoring.yaml"
QUICK_CHECKOV = Path(__file__).with_name("quick_checkov.py")
SUPPRESSIONS = {
    ("CKV_AWS_18", "AWS::S3::Bucket.Bucket"): (
        "A function signs every URL, and its requests are logged. To log each GET as well, turn on CloudTrail's data "
        "events for the bucket, which cost by the request."
    ),
    ("CKV_AWS_21", "AWS::S3::Bucket.Bucket"): (
        "Each object has its own key and is never overwritten. A replaced or deleted object stays for a day. Versions "
        "would keep data that clients have deleted."
    ),
    ("CKV_AWS_27", "AWS::SQS::Queue.DeadLetterQueue"): (
        "SQS encrypts the queue with its own key; its messages are upload ids."
    ),
    ("CKV_AWS_115", "AWS::Lambda::Function.*"): (
        "The gateway's throttles limit concurrency by route. A reservation fails on accounts with a limit of 10, and "
        "takes unused concurrency from other functions."
    ),
    ("CKV_AWS_116", "AWS::Lambda::Function.*"): (
        "Only the cleanup function is invoked asynchronously, and its alias has a dead-letter queue "
        "(EventInvokeConfig). The callers of the other functions receive their errors."
    ),
    ("CKV_AWS_117", "AWS::Lambda::Function.*"): (
        "The functions call S3, DynamoDB, KMS and Lambda only, over TLS and with IAM. A VPC would add NAT and a longer "
        "cold start."
    ),
    ("CKV_AWS_119", "AWS::DynamoDB::Table.*"): (
        "DynamoDB encrypts the table with its own KMS key. A customer-managed key costs KMS calls and needs a policy "
        "of the owner: set KMSMasterKeyId."
    ),
    ("CKV_AWS_158", "AWS::Logs::LogGroup.*"): (
        "CloudWatch encrypts the logs with its own key; they hold no file name, body, header or token."
    ),
    ("CKV_AWS_173", "AWS::Lambda::Function.*"): ("The functions' environments hold names and numbers, and no secrets."),
    ("CKV_AWS_258", "AWS::Lambda::Url.ChunkFunctionUrl"): (
        "Clients have tokens and no AWS credentials. The function verifies the token, as it does behind the API, and "
        "reserved concurrency, which a rule demands, limits the requests."
    ),
}
"""The reason for each accepted finding, by check and by resource pattern."""


class Finding(NamedTuple):
    """A failed check."""

    check: str
    """The check's id, such as CKV_AWS_18."""

    resource: str
    """The resource's type and logical id, joined by a dot."""

    title: str
    """What the check requires, in one sentence."""


def main() -> int:
    """Return 0 if each finding is suppressed and each suppression is used, 1 otherwise."""
    (python,) = sys.argv[1:]
    WORK_FOLDER.mkdir(parents=True, exist_ok=True)
    target = WORK_FOLDER / "template.json"
    target.write_text(json.dumps(transform_template(package_template()), indent=1), encoding="utf-8")
    try:
        passed, findings = run_checkov(Path(python), [str(target), MONITORING_TEMPLATE])
    except CheckError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    unsuppressed = sorted(finding for finding in findings if not _suppressions_for(finding))
    used = {key for finding in findings for key in _suppressions_for(finding)}
    unused = sorted(key for key in SUPPRESSIONS if key not in used)
    for finding in unsuppressed:
        sys.stderr.write(f"{finding.check} {finding.resource}: {finding.title}\n")
    for check, resource in unused:
        sys.stderr.write(
            f"{check} {resource}: no such finding; remove it from SUPPRESSIONS in dev/template/checkov.py\n"
        )
    print(
        f"checkov: {passed} passed, {len(findings) - len(unsuppressed)} suppressed in dev/template/checkov.py, "
        f"{len(unsuppressed)} failed"
    )
    return 1 if unsuppressed or unused else 0


def run_checkov(python: Path, templates: list[str]) -> tuple[int, list[Finding]]:
    """Return the number of passed checks and the failed ones. Raises `CheckError`."""
    # -P: the folder of the script has a module of the name `checkov`.
    command = [
        str(python),
        "-P",
        str(QUICK_CHECKOV),
        "--framework",
        "cloudformation",
        "--skip-download",
        "--output",
        "json",
        "--quiet",
    ]
    for template in templates:
        command += ["--file", template]
    # checkov reads configuration from HOME. BC_SKIP_MAPPING keeps it from calling its vendor's API.
    env = {**os.environ, "HOME": str(WORK_FOLDER), "CKV_IGNORE_HIDDEN_DIRECTORIES": "true", "BC_SKIP_MAPPING": "true"}
    completed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    try:
        report: Any = json.loads(completed.stdout)
    except ValueError:
        output = f"{completed.stdout[-500:]}{completed.stderr[-2000:]}"
        raise CheckError(f"checkov wrote no JSON report:\n{output}") from None
    summary = report["summary"]
    if summary["parsing_errors"] or not summary["passed"]:
        raise CheckError(f"checkov could not parse the templates: {summary}")
    failed = report["results"]["failed_checks"]
    return summary["passed"], [Finding(entry["check_id"], entry["resource"], entry["check_name"]) for entry in failed]


def _suppressions_for(finding: Finding) -> list[tuple[str, str]]:
    return [key for key in SUPPRESSIONS if key[0] == finding.check and fnmatchcase(finding.resource, key[1])]


if __name__ == "__main__":
    sys.exit(main())
