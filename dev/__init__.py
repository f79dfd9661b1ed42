"""Tools for people who work on Ferry: the local service, the Docker runner, checks, benchmarks, generators.

Nothing that ships to AWS imports this package.
"""
