"""Copy a service in memory, so that many tests start from one prepared state."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from dev.fakes.clock import SettableClock
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.upload_repository import MemoryUploadRepository
from tests.support.in_memory_service import InMemoryService


def copy_service(service: InMemoryService) -> InMemoryService:
    """Return a service with the same rows, objects, published events and time. Neither sees later changes of the other.

    Both draw new ids from one sequence, so that no id is drawn twice. The copy has a new process, an empty log and no
    queued completion.
    """
    original, table = service.upload_repository.table, MemoryTable()
    table.rows, table.was_restored = original.snapshot(), original.was_restored
    table.completions, table.file_changes = dict(original.completions), dict(original.file_changes)
    copied = InMemoryService(
        publish_events=service.publish_events,
        second_before_first=service.second_before_first,
        clock=SettableClock(service.clock()),
        upload_repository=MemoryUploadRepository(table),
        new_id=service.new_id,
    )
    copied.quota = service.quota  # Its row is copied.
    copied.event_publisher.published += service.event_publisher.published
    store = copied.object_store = copy(service.object_store)
    store.clock = copied.clock
    store.objects, store.grants = dict(store.objects), dict(store.grants)
    store.multipart_uploads = {
        multipart_id: replace(upload, parts=dict(upload.parts))
        for multipart_id, upload in store.multipart_uploads.items()
    }
    copied.services = copied.new_services()
    return copied
