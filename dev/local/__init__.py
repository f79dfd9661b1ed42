"""The whole service on one machine, set up from template.yaml: `python -m dev.local --help`."""
