"""The ports in memory, with faults on request. Tests and benchmarks use them."""
