"""Notes which permissions at AWS a function's calls need. `python -m dev.local --record-calls` has every function load it.

Python imports a module of this name by itself when it starts, so the function's own code knows nothing of it. Each kind
of call is one line of JSON in the file that `CALLS_FILE` names: the function, the action, the resource (what an
environment variable of the function holds is told by the variable's name) and partition keys. A presigned URL counts
as the call that it is for: S3 looks at the permissions of whoever signed it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

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
    """A permission that a call needs: `keys` are the partition keys of the items it is about."""

    action: str
    resource: str
    keys: tuple[str, ...] = ()


OnPermission = Callable[[RequiredPermission], None]


def required_permissions(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[RequiredPermission]:
    """What a call needs, by AWS's Service Authorization Reference.

    Raises:
        LookupError: this does not know the operation yet. It is to be told here, and granted in the template.
    """
    match service:
        case "s3":
            yield from _s3_permissions(operation, params)
        case "dynamodb":
            yield from _dynamodb_permissions(operation, params)
        case "kms" if operation in ("Sign", "GetPublicKey"):
            # Keys that are not the template's are named by ARN; which account, only the policy tells.
            yield RequiredPermission(f"kms:{operation}", _resource_name(params["KeyId"]).rpartition(":")[2])
        case "lambda" if operation == "Invoke":
            yield RequiredPermission("lambda:InvokeFunction", _resource_name(params["FunctionName"]))
        case "events" if operation == "PutEvents":
            for bus in sorted({entry["EventBusName"] for entry in params["Entries"]}):
                yield RequiredPermission("events:PutEvents", _resource_name(bus))
        case _:
            raise LookupError(f"which permission does {service}:{operation} need?")


def _s3_permissions(operation: str, params: Mapping[str, Any]) -> Iterator[RequiredPermission]:
    bucket = _resource_name(params["Bucket"])
    if operation == "DeleteObjects":
        for entry in params["Delete"]["Objects"]:
            yield RequiredPermission("s3:DeleteObject", f"{bucket}/{entry['Key']}")
    elif operation in _S3_BUCKET_ACTIONS:
        yield RequiredPermission(f"s3:{_S3_BUCKET_ACTIONS[operation]}", bucket)
    else:
        yield RequiredPermission(f"s3:{_S3_OBJECT_ACTIONS[operation]}", f"{bucket}/{params['Key']}")


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
        raise LookupError(f"which permission does dynamodb:{operation} need?")


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
    """The variable that tells the function this name, so that the same call looks the same in every stack."""
    holding = (variable for variable, value in os.environ.items() if variable.startswith("FERRY_") and value == name)
    return next((f"${variable}" for variable in sorted(holding)), name)


def record_session(session: Session, on_permission: OnPermission) -> None:
    """Tell `note` what the calls need of all clients that the session makes from now on."""

    def before(**told: Any) -> None:
        model, params = told["model"], told["params"]
        told["context"][_BUCKET_CONTEXT_KEY] = params.get("Bucket")
        for need in required_permissions(model.service_model.service_name, model.name, params):
            on_permission(need)

    def after(**told: Any) -> None:
        # Without ListBucket this 404 would be a 403.
        if told["model"].name in _OBJECT_READS and told["http_response"].status_code == 404:
            on_permission(RequiredPermission("s3:ListBucket", _resource_name(told["context"][_BUCKET_CONTEXT_KEY])))

    session.register("before-parameter-build", before)
    session.register("after-call.s3", after)


def _append_permission(
    path: str, function_name: str, seen: set[tuple[str, ...]], permission: RequiredPermission
) -> None:
    """One line for each kind of call in each process: a function makes the same ones over and over."""
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
    """Watch every session that botocore makes in this process."""
    import botocore.session

    note = partial(_append_permission, path, os.environ["AWS_LAMBDA_FUNCTION_NAME"], set())
    make = botocore.session.Session.__init__

    def made_and_watched(self: Session, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        record_session(self, note)

    botocore.session.Session.__init__ = made_and_watched  # type: ignore[method-assign]  # there is no hook for it


if CALLS_FILE in os.environ:
    record_process(os.environ[CALLS_FILE])
