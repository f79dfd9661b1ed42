"""Expand and lint template.yaml."""
