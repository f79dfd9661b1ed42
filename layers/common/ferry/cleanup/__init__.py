"""Clean up what no client will finish or delete.

Three entry points: the scheduled sweep over all due tasks, the cleanup of one namespace on request, and the completion
that a request enqueued. Every decision is made on the row itself and written by condition, never on the index of tasks
or on what S3 lists. So cleanup may run beside uploads and beside itself, and may crash at any point.
"""

from ferry.cleanup.namespace import clean_namespace
from ferry.cleanup.report import CleanupReport, OrphanCounts
from ferry.cleanup.sweep import sweep_due_tasks
from ferry.uploads.async_completion import continue_completion

__all__ = ["CleanupReport", "OrphanCounts", "clean_namespace", "continue_completion", "sweep_due_tasks"]
