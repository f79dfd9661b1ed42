"""Adapters of the ports to AWS. Nothing else in Ferry imports boto3."""
