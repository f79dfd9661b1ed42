"""Copy a service in memory, so that many tests start from one prepared state."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from dev.fakes.clock import SettableClock
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.upload_repository import MemoryUploadRepository
from tests.support.in_memory_service import InMemoryService


def copy_service(service: InMemoryService) -> InMemoryService:
    """Return a service with the same rows, objects and time. Neither sees a later change of the other.

    Both draw new ids from one sequence, so that no id is drawn twice. The copy has a new process, an empty log, no
    published event and no queued completion.
    """
    table = MemoryTable()
    table.rows = service.upload_repository.snapshot()
    copied = InMemoryService(
        publish_events=service.publish_events,
        clock=SettableClock(service.clock()),
        upload_repository=MemoryUploadRepository(table),
        new_id=service.new_id,
    )
    store = copied.object_store = copy(service.object_store)
    store.clock = copied.clock
    store.objects, store.grants = dict(store.objects), dict(store.grants)
    store.multipart_uploads = {
        multipart_id: replace(upload, parts=dict(upload.parts))
        for multipart_id, upload in store.multipart_uploads.items()
    }
    copied.services = copied.new_services()
    return copied
