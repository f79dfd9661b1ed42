"""Adapters of the ports to AWS: the only modules that import botocore."""
