"""Finished files: list and delete."""
