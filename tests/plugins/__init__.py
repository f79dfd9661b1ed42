"""Pytest plugins that `tests/conftest.py` loads for every run."""
