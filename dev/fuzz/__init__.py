"""Fuzz the local service against the OpenAPI document."""
