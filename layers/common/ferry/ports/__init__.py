"""Protocols of the backends that use cases need. `ferry.aws` implements them for AWS, `dev.fakes` in memory.

Each method makes one backend call unless its docstring says otherwise. An adapter retries what is safe to retry and
then raises `BackendUnavailable`: the call may or may not have taken effect. If the condition of a write fails, the
adapter raises `ConcurrentUpdate`: nothing was written, and the caller reads again and retries.
"""
