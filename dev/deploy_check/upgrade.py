"""Update a stack of the previous version, and read with the new functions what the old ones wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from dev.deploy_check import stacks
from dev.deploy_check.compare import resolvable_template
from dev.deploy_check.functions import StackFunctions, objects_in_memory
from dev.deploy_check.previous_rows import (
    CHUNK_SIZE,
    CONTENT,
    FINISHED_NAME,
    HALF_SENT_NAME,
    METADATA,
    PREVIOUS_STACK,
    TABLES,
    write_previous_data,
)
from dev.deploy_check.stacks import PackagedTemplate, Stack
from dev.errors import CheckError
from dev.local.stack import REGION


def create_previous_stack(name: str, parameters: Mapping[str, str]) -> tuple[PackagedTemplate, Stack]:
    """Create a stack of the previous version's template. Raises `CheckError`."""
    previous = stacks.expand(stacks.package_folder(PREVIOUS_STACK), parameters)
    return previous, stacks.create_stack(name, previous.template, parameters)


def check_upgrade(previous: PackagedTemplate, stack: Stack, template: Mapping[str, Any]) -> Stack:
    """Write rows and objects as the previous version did, update the stack, and read and continue them.

    Raises:
        CheckError: the update replaces a resource with data, or fails, or the new functions do not read the data.
    """
    with objects_in_memory(stack):
        write_previous_data(stack)
        updated = _update(previous.template, template, stack)
        _check_data(StackFunctions(updated))
    return updated


def replaced_data_resources(previous: Mapping[str, Any], template: Mapping[str, Any], stack: Stack) -> list[str]:
    """Return the retained resources that an update would replace or remove, each with the reason."""
    before, after = (
        resolvable_template(body, stack.parameters, stack.resources, stack.name) for body in (previous, template)
    )
    problems = []
    for logical_id, body in previous["Resources"].items():
        # SAM retains versions of functions, for a rollback; each update has new ones.
        if not is_retained(body) or body["Type"] == "AWS::Lambda::Version":
            continue
        successor = template["Resources"].get(logical_id)
        if successor is None or successor["Type"] != body["Type"]:
            problems.append(f"{logical_id} is removed")
            continue
        problems += [
            f"{logical_id} is replaced: {name} changes"
            for name in _replacing_properties(body["Type"])
            if before.resolve(body["Properties"].get(name)) != after.resolve(successor["Properties"].get(name))
        ]
    return problems


def is_retained(resource: Mapping[str, Any]) -> bool:
    """Return whether CloudFormation keeps a resource when its stack is deleted."""
    return str(resource.get("DeletionPolicy", "")).startswith("Retain")


def _replacing_properties(resource_type: str) -> list[str]:
    """Return the properties whose change replaces a resource, or is rejected, by AWS's schema of its type."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema
    paths = [*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())]
    return sorted({path.split("/")[2] for path in paths})


def _update(previous: Mapping[str, Any], template: Mapping[str, Any], stack: Stack) -> Stack:
    """Update the stack. The emulator creates a table anew on any change of its properties, where AWS updates it: the
    rows of tables that AWS would not replace are put back.
    """
    if problems := replaced_data_resources(previous, template, stack):
        raise CheckError("the update loses data:\n  " + "\n  ".join(problems))
    dynamodb = boto3.client("dynamodb")
    rows = {table: dynamodb.scan(TableName=stack.resources[table])["Items"] for table in TABLES}
    updated = stacks.update_stack(stack, template)
    for table, items in rows.items():
        if updated.resources[table] != stack.resources[table]:
            raise CheckError(f"the update replaces {table}")
        for item in items:
            dynamodb.put_item(TableName=updated.resources[table], Item=item)
    return updated


def _check_data(functions: StackFunctions) -> None:
    """Read the finished file, continue and complete the half-sent one. Raises `CheckError`."""
    functions.authenticate()
    _require(functions.download(FINISHED_NAME) == CONTENT, f"{FINISHED_NAME} has other bytes after the update")
    (file,) = functions.json("GET", "/files")["files"]
    _require(
        (file["filename"], file["size"], file["metadata"]) == (FINISHED_NAME, len(CONTENT), METADATA),
        f"{FINISHED_NAME} is listed as {file}",
    )
    status = functions.json("GET", f"/status/{HALF_SENT_NAME}")
    _require(
        (status["state"], status["received_bytes"], status["missing"]) == ("partial", CHUNK_SIZE, [[2, 2]]),
        f"the status of {HALF_SENT_NAME} is {status}",
    )
    query = {"filename": HALF_SENT_NAME, "chunk_index": "2"}
    functions.json("POST", "/upload/chunk", CONTENT[CHUNK_SIZE:], **query)
    functions.json("POST", "/upload/complete", {"filename": HALF_SENT_NAME})
    _require(functions.download(HALF_SENT_NAME) == CONTENT, f"{HALF_SENT_NAME} has other bytes than were sent")


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise CheckError(problem)
