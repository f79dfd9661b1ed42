"""Upload status: a snapshot of an upload, and long polling for its next change."""
