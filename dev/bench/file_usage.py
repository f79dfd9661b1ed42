"""Count the calls and units of requests about finished files: a page of a listing, moves, restores and deletions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from moto import mock_aws

from dev.bench.usage import NS, TINY_BYTES, Usage, UsageMeter, UsageRun
from dev.testing.template import create_table
from ferry.aws.session import AwsSession
from ferry.files.delete_many import DeleteEntry, delete_files
from ferry.files.list import ListQuery, list_files
from ferry.files.move import MoveRequest, move_file
from ferry.files.put import PutRequest, put_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.services import Services

FILE_COUNT = 100
"""Files of a page of a listing, and of a request that deletes several."""


@dataclass(frozen=True)
class FileOperation:
    """A request about finished files."""

    run: Callable[[Services, list[str]], object]
    """Makes the request. It gets the names of the files that are there."""

    file_count: int = 1
    """Files that are there before."""

    deleted_before: bool = False
    """Whether they have been deleted, and can be restored."""


FILE_OPERATIONS: Mapping[str, FileOperation] = {
    f"a page of {FILE_COUNT} files": FileOperation(
        lambda services, _: list_files(services, NS, ListQuery()), FILE_COUNT
    ),
    "a file moved to a new name": FileOperation(
        lambda services, names: move_file(services, NS, MoveRequest(names[0], "new name"))
    ),
    "a file restored": FileOperation(
        lambda services, names: restore_file(services, NS, RestoreRequest(names[0])), deleted_before=True
    ),
    f"{FILE_COUNT} files deleted": FileOperation(
        lambda services, names: delete_files(services, NS, map(DeleteEntry, names)), FILE_COUNT
    ),
}
"""The requests of the page, by what it calls them."""


@cache
def measure_file_operation(name: str) -> Usage:
    """Return the usage of one of `FILE_OPERATIONS`, with the cleanup that it causes, without that of an idle run."""
    operation = FILE_OPERATIONS[name]
    with mock_aws():
        client = AwsSession({}).dynamodb
        for table in ("idle", "counted"):
            create_table(client, "MetadataTable", table)
        idle, counted = UsageRun(UsageMeter(client, "idle")), UsageRun(UsageMeter(client, "counted"))
        names = [f"a folder/a file of ordinary name {index}.bin" for index in range(operation.file_count)]
        for each in names:
            put_file(counted.services, NS, PutRequest(each, bytes(TINY_BYTES)))
        counted.delete_replaced_object()
        if operation.deleted_before:
            delete_files(counted.services, NS, map(DeleteEntry, names))
        before = counted.usage()
        operation.run(counted.services, names)
        counted.requests += 1
        for run in (idle, counted):
            run.delete_replaced_object()
        return counted.usage().minus(before).minus(idle.usage())
