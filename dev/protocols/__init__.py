"""Run the public conformance suites of the resumable protocols against the local service."""
