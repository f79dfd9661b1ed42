"""The `ferry` command and the Python SDK: a distribution of its own in `src`, with its tests.."""
