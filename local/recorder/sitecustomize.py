"""Notes which permissions at AWS a function's calls need. `python -m local --record-calls` has every function load it.

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

_S3_OBJECTS = {
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
_S3_BUCKETS = {
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectsV2": "ListBucket",
}
_DYNAMODB_ITEMS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
_IN_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
_FIRST_EQUALITY = re.compile(r"\s*(?:#\w+|\w+)\s*=\s*(:\w+)")
_TELLING_ABSENT = ("GetObject", "HeadObject")
_BUCKET = "ferry_bucket"


class Need(NamedTuple):
    """A permission that a call needs: `keys` are the partition keys of the items it is about."""

    action: str
    resource: str
    keys: tuple[str, ...] = ()


Note = Callable[[Need], None]


def needs(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    """What a call needs, by AWS's Service Authorization Reference.

    Raises:
        LookupError: this does not know the operation yet. It is to be told here, and granted in the template.
    """
    match service:
        case "s3":
            yield from _of_s3(operation, params)
        case "dynamodb":
            yield from _of_dynamodb(operation, params)
        case "kms" if operation in ("Sign", "GetPublicKey"):
            # Keys that are not the template's are named by ARN; which account, only the policy tells.
            yield Need(f"kms:{operation}", _place(params["KeyId"]).rpartition(":")[2])
        case "lambda" if operation == "Invoke":
            yield Need("lambda:InvokeFunction", _place(params["FunctionName"]))
        case "events" if operation == "PutEvents":
            for bus in sorted({entry["EventBusName"] for entry in params["Entries"]}):
                yield Need("events:PutEvents", _place(bus))
        case _:
            raise LookupError(f"which permission does {service}:{operation} need?")


def _of_s3(operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    bucket = _place(params["Bucket"])
    if operation == "DeleteObjects":
        for entry in params["Delete"]["Objects"]:
            yield Need("s3:DeleteObject", f"{bucket}/{entry['Key']}")
    elif operation in _S3_BUCKETS:
        yield Need(f"s3:{_S3_BUCKETS[operation]}", bucket)
    else:
        yield Need(f"s3:{_S3_OBJECTS[operation]}", f"{bucket}/{params['Key']}")


def _of_dynamodb(operation: str, params: Mapping[str, Any]) -> Iterator[Need]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        for entry in params["TransactItems"]:
            ((kind, item),) = entry.items()
            yield _of_item(_IN_TRANSACTION[kind], item)
    elif operation in ("BatchWriteItem", "BatchGetItem"):
        for table, entries in params["RequestItems"].items():
            items = entries["Keys"] if operation == "BatchGetItem" else [_batched(entry) for entry in entries]
            yield Need(f"dynamodb:{operation}", _place(table), tuple(item["pk"]["S"] for item in items))
    elif operation in _DYNAMODB_ITEMS:
        yield _of_item(operation, params)
    else:
        raise LookupError(f"which permission does dynamodb:{operation} need?")


def _of_item(action: str, params: Mapping[str, Any]) -> Need:
    table = _place(params["TableName"])
    place = f"{table}/index/{params['IndexName']}" if "IndexName" in params else table
    keys: tuple[str, ...] = ()
    item = params.get("Key") or params.get("Item")
    if item is not None:
        keys = (item["pk"]["S"],)
    elif found := _FIRST_EQUALITY.match(params.get("KeyConditionExpression", "")):
        keys = (params["ExpressionAttributeValues"][found[1]]["S"],)
    return Need(f"dynamodb:{action}", place, keys)


def _batched(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    ((kind, request),) = entry.items()
    found: Mapping[str, Any] = request["Item" if kind == "PutRequest" else "Key"]
    return found


def _place(name: str) -> str:
    """The variable that tells the function this name, so that the same call looks the same in every stack."""
    holding = (variable for variable, value in os.environ.items() if variable.startswith("FERRY_") and value == name)
    return next((f"${variable}" for variable in sorted(holding)), name)


def watch(session: Session, note: Note) -> None:
    """Tell `note` what the calls need of all clients that the session makes from now on."""

    def before(**told: Any) -> None:
        model, params = told["model"], told["params"]
        told["context"][_BUCKET] = params.get("Bucket")
        for need in needs(model.service_model.service_name, model.name, params):
            note(need)

    def after(**told: Any) -> None:
        # Without ListBucket this 404 would be a 403.
        if told["model"].name in _TELLING_ABSENT and told["http_response"].status_code == 404:
            note(Need("s3:ListBucket", _place(told["context"][_BUCKET])))

    session.register("before-parameter-build", before)
    session.register("after-call.s3", after)


def _append(path: str, function: str, seen: set[tuple[str, ...]], need: Need) -> None:
    """One line for each kind of call in each process: a function makes the same ones over and over."""
    kind = (need.action, re.sub(r"/.*", "", need.resource), *(re.sub(r"#.*", "", key) for key in need.keys))
    if kind in seen:
        return
    seen.add(kind)
    line = json.dumps({"function": function, **need._asdict()}) + "\n"
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded for it
        file.write(line)


def record_this_process(path: str) -> None:
    """Watch every session that botocore makes in this process."""
    import botocore.session

    note = partial(_append, path, os.environ["AWS_LAMBDA_FUNCTION_NAME"], set())
    make = botocore.session.Session.__init__

    def made_and_watched(self: Session, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        watch(self, note)

    botocore.session.Session.__init__ = made_and_watched  # type: ignore[method-assign]  # there is no hook for it


if CALLS_FILE in os.environ:
    record_this_process(os.environ[CALLS_FILE])
