"""Benchmarks and the cost model: cold starts, transfer speed, counted calls and their prices."""
