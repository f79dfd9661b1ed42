"""The AWS adapters where a backend would have to fail: over clients that answer by script."""
