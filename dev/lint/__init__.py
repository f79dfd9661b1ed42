"""Checks of the repository's own language, run by `make lint`."""
