"""The scripts of examples/, run against one local service."""
