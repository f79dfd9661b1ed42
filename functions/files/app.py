"""The files function: finished files, one by one and in lists.

Routes import the use case that they need, because a cold start waits for what is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry import wiring
from ferry.http.bearer import READ_SCOPE, WRITE_SCOPE, bearer_authenticator, link_authenticator
from ferry.http.conditions import request_conditions
from ferry.http.request import Request
from ferry.http.response import Response, empty_response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller

app = create_app(
    bearer_authenticator(wiring.token_verifier),
    wiring.log_file_names,
    link_authenticator(wiring.token_verifier, wiring.links, wiring.client_address_header),
)
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
wiring.load_before_snapshot(
    wiring.services,
    wiring.token_verifier,
    clients=("events",),
    json_bodies=True,
    modules=(
        "ferry.files",
        "ferry.http.checksums",
        "ferry.http.file_changes",
        "ferry.http.file_listings",
        "ferry.http.files",
        "google_crc32c",
        "pybase64",
    ),
)


@app.protected(
    "PUT /files/{filename+}",
    "PUT /files",
    scope=WRITE_SCOPE,
    audit_event="file.put",
    parameters={"filename", "content_type"},
)
def put(request: Request, ns: str) -> Response:
    from ferry.files.put import put_file
    from ferry.http import files

    return files.put_response(put_file(wiring.services(), ns, files.put_request(request)))


@app.protected("GET /files/{filename+}", scope=READ_SCOPE)
def get_record_by_path(request: Request, ns: str) -> Response:
    return _record(request, ns, request.filename())


@app.protected("GET /files", scope=READ_SCOPE)
def get_record_by_query_or_list_files(request: Request, ns: str) -> Response:
    from ferry.http import file_listings

    name = request.optional_filename()
    if name is not None:
        return _record(request, ns, name)
    return file_listings.respond(wiring.services(), ns, request)


@app.by_link("GET /files/{filename+}", kind="download")
def get_record_by_link(request: Request, caller: LinkCaller) -> Response:
    from ferry.links.downloads import name_by_link

    return _record(request, caller.link.ns, name_by_link(caller.link, request.filename()))


@app.by_link("GET /files", kind="download")
def get_record_or_list_files_by_link(request: Request, caller: LinkCaller) -> Response:
    from ferry.http import file_listings
    from ferry.links.downloads import name_by_link

    name = request.optional_filename()
    if name is not None:
        return _record(request, caller.link.ns, name_by_link(caller.link, name))
    return file_listings.respond_by_link(wiring.services(), caller.link, request)


@app.protected(
    "PATCH /files/{filename+}",
    "PATCH /files",
    scope=WRITE_SCOPE,
    audit_event="file.change",
    parameters={"filename"},
)
def change(request: Request, ns: str) -> Response:
    from ferry.files.record import change_record
    from ferry.http import files

    name, conditions, requested = request.filename(), request_conditions(request), files.change_request(request)
    return files.changed_response(change_record(wiring.services(), ns, name, requested, conditions))


@app.protected(
    "DELETE /files/{filename+}",
    "DELETE /files",
    scope=WRITE_SCOPE,
    audit_event="file.delete",
    parameters={"filename"},
)
def delete(request: Request, ns: str) -> Response:
    from ferry.files.delete import delete_file

    delete_file(wiring.services(), ns, request.filename(), request_conditions(request))
    return empty_response().with_metrics(FilesDeleted=1)


@app.protected("POST /files/move", scope=WRITE_SCOPE, audit_event="file.move")
def move(request: Request, ns: str) -> Response:
    from ferry.files.move import move_file
    from ferry.http import file_changes

    requested = file_changes.move_request(request)
    file = move_file(wiring.services(), ns, requested)
    return file_changes.moved_response(requested, file, log_names=wiring.log_file_names())


@app.protected("POST /files/delete", scope=WRITE_SCOPE, audit_event="file.delete")
def delete_several(request: Request, ns: str) -> Response:
    from ferry.files.delete_many import delete_files
    from ferry.http import file_changes

    results = delete_files(wiring.services(), ns, file_changes.delete_request(request))
    return file_changes.deleted_response(results, log_names=wiring.log_file_names())


@app.protected("POST /files/restore", scope=WRITE_SCOPE, audit_event="file.restore")
def restore(request: Request, ns: str) -> Response:
    from ferry.files.restore import restore_file
    from ferry.http import file_changes

    requested = file_changes.restore_request(request)
    file = restore_file(wiring.services(), ns, requested)
    return file_changes.restored_response(requested, file, log_names=wiring.log_file_names())


@app.protected("GET /usage", scope=READ_SCOPE)
def get_usage(_: Request, ns: str) -> Response:
    from ferry.http import files

    return files.usage_response(wiring.services().file_repository.get_quota(ns))


def _record(request: Request, ns: str, name: str) -> Response:
    from ferry.files.record import get_record
    from ferry.http import files

    return files.record_response(get_record(wiring.services(), ns, name, request_conditions(request)))
