"""Clean-up: what nobody will come back for. The schedule's sweep over everything due, a namespace's on request, and
completions that were handed on.

It decides on the rows themselves, by condition, never on the index or on what S3 lists; so it may run while uploads
run, twice at once, and die in the middle.
"""

from ferry.cleanup.namespace import clean_namespace
from ferry.cleanup.report import CleanupReport, OrphanCounts
from ferry.cleanup.sweep import sweep_due_tasks
from ferry.uploads.resume import continue_completion

__all__ = ["CleanupReport", "OrphanCounts", "clean_namespace", "continue_completion", "sweep_due_tasks"]
