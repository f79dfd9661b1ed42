"""Build and verify the Lambda layer."""
