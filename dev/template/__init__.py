"""Lint template.yaml and expand its SAM resources."""
