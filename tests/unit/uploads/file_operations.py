"""What the fault matrix breaks, continued: moves, restores, and deletions of several files."""

from __future__ import annotations

from collections.abc import Callable

from dev.fakes.faults import Fault, FaultPlan
from ferry.files.delete import delete_file
from ferry.files.delete_many import DeleteEntry, DeleteResults, delete_files
from ferry.files.move import MoveRequest, move_file
from ferry.files.put import PutRequest, put_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.files import File, IfExists
from ferry.services import Services
from tests.support.in_memory_service import NAME, NS, Client, InMemoryService
from tests.unit.uploads.operations import Operation
from tests.unit.uploads.situations import BODY, NEW_BODY, completed

OLD_NAME = "before the move"

Prepare = Callable[[InMemoryService], Client]


def put(service: InMemoryService, name: str, body: bytes) -> File:
    return put_file(service.services, NS, PutRequest(name, body)).file


def with_file_to_move(service: InMemoryService) -> Client:
    """Complete an upload under another name."""
    client = Client(service, BODY, name=OLD_NAME)
    client.start()
    client.send_chunks()
    client.complete()
    return Client(service, BODY)


def with_pending_file_to_move(service: InMemoryService) -> Client:
    """Store a file whole under another name, with its completion still pending."""
    failing = service.new_services(FaultPlan({("publish", 1): Fault.UNAVAILABLE}))
    put_file(failing, NS, PutRequest(OLD_NAME, BODY))
    return Client(service, BODY)


def with_file_to_move_over(service: InMemoryService) -> Client:
    """Have a file of the name, and one to move over it."""
    completed(service)
    put(service, OLD_NAME, NEW_BODY)
    return Client(service, NEW_BODY)


def deleted(prepare: Prepare) -> Prepare:
    """Delete the file of the name."""

    def prepare_and_delete(service: InMemoryService) -> Client:
        client = prepare(service)
        delete_file(service.services, NS, NAME)
        return client

    return prepare_and_delete


def put_whole(service: InMemoryService) -> Client:
    put(service, NAME, BODY)
    return Client(service, BODY)


def replaced(service: InMemoryService) -> Client:
    """Replace the file of a completed upload."""
    client = completed(service)
    put(service, NAME, NEW_BODY)
    return client


def move_here(client: Client, services: Services | None) -> File:
    """Move the file to the name. The entity tag lets a repetition succeed."""
    names = (OLD_NAME, NAME)
    found = client.service.file_repository.get_files(NS, names)
    etag = found[next(name for name in names if name in found)].etag
    request = MoveRequest(OLD_NAME, NAME, etag=etag, replace_existing=True)
    return move_file(services or client.service.services, NS, request)


def restore_here(client: Client, services: Services | None) -> File:
    return restore_file(services or client.service.services, NS, RestoreRequest(NAME))


def restore_over(client: Client, services: Services | None) -> File:
    """Restore the file that an upload made, over the one that replaced it."""
    request = RestoreRequest(NAME, upload_id=client.upload_id, if_exists=IfExists.REPLACE)
    return restore_file(services or client.service.services, NS, request)


def delete_several(client: Client, services: Services | None) -> DeleteResults:
    """Delete the file and one that is not there. A repetition may find that it is gone."""
    results = delete_files(services or client.service.services, NS, [DeleteEntry(NAME), DeleteEntry("unknown")])
    assert services is not None or not results.errors
    return results


def start_renaming(client: Client, services: Services | None) -> object:
    """Start under `rename`. The checksum lets a repetition find its upload."""
    return client.start(services, if_exists=IfExists.RENAME, crc32c=client.crc)


def with_name_taken(service: InMemoryService) -> Client:
    """Send all bytes of an upload under `rename`, and have a file take its name."""
    client = Client(service, BODY)
    client.start(if_exists=IfExists.RENAME)
    client.send_chunks()
    put(service, NAME, NEW_BODY)
    return client


def complete_renaming(client: Client, services: Services | None) -> object:
    """Complete. The file gets the next free name, once."""
    if services is not None:
        return client.complete(services)
    file = client.complete_with_retries()
    assert file.name == f"{NAME.removesuffix('.bin')} (2).bin"
    assert client.service.file_content(file.name) == BODY
    assert len(client.service.upload_repository.rows.files) == 2
    return file


FILE_OPERATIONS = [
    Operation("start under rename", lambda service: Client(service, BODY), start_renaming, BODY, "get_renamed_start"),
    Operation("complete under rename, name taken", with_name_taken, complete_renaming, NEW_BODY, "get_name_states"),
    Operation("move", with_file_to_move, move_here, BODY, "move_file"),
    Operation("move with a pending completion", with_pending_file_to_move, move_here, BODY, "move_file"),
    Operation("move over a file", with_file_to_move_over, move_here, NEW_BODY, "move_file"),
    Operation("restore", deleted(completed), restore_here, BODY, "restore_file"),
    Operation("restore a file that was put", deleted(put_whole), restore_here, BODY, "restore_file"),
    Operation("restore over a file", replaced, restore_over, BODY, "restore_file"),
    Operation("delete several", completed, delete_several, None, "get_files"),
]
