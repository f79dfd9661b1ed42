"""The service as clients meet it: over HTTP, on the local runner."""
