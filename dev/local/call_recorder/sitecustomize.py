"""Record the AWS permissions that a function's calls need (`python -m dev.local --record-calls`).

Python imports a module of this name when it starts, so the function's own code does not import it. Each kind of call
is one line of JSON in the file that `CALLS_FILE` names: the function, the action, the resource (a value of one of the
function's environment variables is replaced by the variable's name) and the partition keys. A presigned URL counts as
its call: S3 checks the permissions of the signer.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from botocore.session import Session

CALLS_FILE = "CALLS_FILE"

_S3_OBJECT_ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObject": "DeleteObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "ListParts": "ListMultipartUploadParts",
    "PutObject": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_S3_BUCKET_ACTIONS = {
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectsV2": "ListBucket",
}
_DYNAMODB_ITEM_OPERATIONS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
_TRANSACTION_ACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
_PARTITION_KEY_EQUALITY = re.compile(r"\s*(?:#\w+|\w+)\s*=\s*(:\w+)")
_OBJECT_READS = ("GetObject", "HeadObject")
_BUCKET_CONTEXT_KEY = "ferry_bucket"


class RequiredPermission(NamedTuple):
    """A permission that a call needs."""

    action: str
    """The IAM action, such as `s3:PutObject`."""
    resource: str
    """The bucket with the key, the table, the index, the key, the function or the bus."""
    keys: tuple[str, ...] = ()
    """The partition keys of the items that the call reads or writes."""


OnPermission = Callable[[RequiredPermission], None]


def required_permissions(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[RequiredPermission]:
    """Yield the permissions that a call needs, by AWS's Service Authorization Reference.

    Raises:
        LookupError: the operation is not listed here. Add it here, and grant it in the template.
    """
    match service:
        case "s3":
            yield from _s3_permissions(operation, params)
        case "dynamodb":
            yield from _dynamodb_permissions(operation, params)
        case "kms" if operation in ("Sign", "GetPublicKey"):
            # Keys outside the template are named by ARN. The account in it is the policy's to check.
            yield RequiredPermission(f"kms:{operation}", _resource_name(params["KeyId"]).rpartition(":")[2])
        case "lambda" if operation == "Invoke":
            yield RequiredPermission("lambda:InvokeFunction", _resource_name(params["FunctionName"]))
        case "events" if operation == "PutEvents":
            for bus in sorted({entry["EventBusName"] for entry in params["Entries"]}):
                yield RequiredPermission("events:PutEvents", _resource_name(bus))
        case _:
            raise LookupError(f"add the permission of {service}:{operation} to required_permissions")


def _s3_permissions(operation: str, params: Mapping[str, Any]) -> Iterator[RequiredPermission]:
    bucket = _resource_name(params["Bucket"])
    if operation == "DeleteObjects":
        for entry in params["Delete"]["Objects"]:
            yield RequiredPermission("s3:DeleteObject", f"{bucket}/{entry['Key']}")
    elif operation in _S3_BUCKET_ACTIONS:
        yield RequiredPermission(f"s3:{_S3_BUCKET_ACTIONS[operation]}", bucket)
    else:
        yield RequiredPermission(f"s3:{_S3_OBJECT_ACTIONS[operation]}", f"{bucket}/{params['Key']}")
        if operation == "UploadPartCopy":
            source_bucket, source_key = _copy_source(params["CopySource"])
            yield RequiredPermission("s3:GetObject", f"{_resource_name(source_bucket)}/{source_key}")


def _copy_source(source: Any) -> tuple[str, str]:
    """Return the bucket and the key of a copy's source: a mapping, or the header that botocore makes of it."""
    if isinstance(source, Mapping):
        return source["Bucket"], source["Key"]
    bucket, _, key = unquote(str(source)).removeprefix("/").partition("/")
    return bucket, key


def _dynamodb_permissions(operation: str, params: Mapping[str, Any]) -> Iterator[RequiredPermission]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        for entry in params["TransactItems"]:
            ((kind, item),) = entry.items()
            yield _item_permission(_TRANSACTION_ACTIONS[kind], item)
    elif operation in ("BatchWriteItem", "BatchGetItem"):
        for table, entries in params["RequestItems"].items():
            items = entries["Keys"] if operation == "BatchGetItem" else [_batch_item(entry) for entry in entries]
            yield RequiredPermission(
                f"dynamodb:{operation}", _resource_name(table), tuple(item["pk"]["S"] for item in items)
            )
    elif operation in _DYNAMODB_ITEM_OPERATIONS:
        yield _item_permission(operation, params)
    else:
        raise LookupError(f"add the permission of dynamodb:{operation} to required_permissions")


def _item_permission(action: str, params: Mapping[str, Any]) -> RequiredPermission:
    table = _resource_name(params["TableName"])
    place = f"{table}/index/{params['IndexName']}" if "IndexName" in params else table
    keys: tuple[str, ...] = ()
    item = params.get("Key") or params.get("Item")
    if item is not None:
        keys = (item["pk"]["S"],)
    elif found := _PARTITION_KEY_EQUALITY.match(params.get("KeyConditionExpression", "")):
        keys = (params["ExpressionAttributeValues"][found[1]]["S"],)
    return RequiredPermission(f"dynamodb:{action}", place, keys)


def _batch_item(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    ((kind, request),) = entry.items()
    found: Mapping[str, Any] = request["Item" if kind == "PutRequest" else "Key"]
    return found


def _resource_name(name: str) -> str:
    """Return `$VARIABLE` for a name that an environment variable has, so that a call looks the same in every stack."""
    variables = (variable for variable, value in os.environ.items() if variable.startswith("FERRY_") and value == name)
    return next((f"${variable}" for variable in sorted(variables)), name)


def record_session(session: Session, on_permission: OnPermission) -> None:
    """Call `on_permission` for each permission that calls need, of all clients that the session creates from now on."""

    def before(**event: Any) -> None:
        model, params = event["model"], event["params"]
        event["context"][_BUCKET_CONTEXT_KEY] = params.get("Bucket")
        for permission in required_permissions(model.service_model.service_name, model.name, params):
            on_permission(permission)

    def after(**event: Any) -> None:
        # Without ListBucket this 404 would be a 403.
        if event["model"].name in _OBJECT_READS and event["http_response"].status_code == 404:
            on_permission(RequiredPermission("s3:ListBucket", _resource_name(event["context"][_BUCKET_CONTEXT_KEY])))

    session.register("before-parameter-build", before)
    session.register("after-call.s3", after)


def _append_permission(
    path: str, function_name: str, seen: set[tuple[str, ...]], permission: RequiredPermission
) -> None:
    """Append one line for each kind of call in each process: a function repeats the same calls."""
    kind = (
        permission.action,
        re.sub(r"/.*", "", permission.resource),
        *(re.sub(r"#.*", "", key) for key in permission.keys),
    )
    if kind in seen:
        return
    seen.add(kind)
    line = json.dumps({"function": function_name, **permission._asdict()}) + "\n"
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded for it
        file.write(line)


def record_process(path: str) -> None:
    """Record the calls of every session that botocore creates in this process."""
    import botocore.session

    on_permission = partial(_append_permission, path, os.environ["AWS_LAMBDA_FUNCTION_NAME"], set())
    original_init = botocore.session.Session.__init__

    def recording_init(self: Session, *arguments: Any, **options: Any) -> None:
        original_init(self, *arguments, **options)
        record_session(self, on_permission)

    botocore.session.Session.__init__ = recording_init  # type: ignore[method-assign]  # there is no hook for it


if CALLS_FILE in os.environ:
    record_process(os.environ[CALLS_FILE])
