"""The ports in memory, held to the same contract suite as the adapters, and ways to make them fail."""
