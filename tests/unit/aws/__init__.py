"""The AWS adapters with failures that no emulator produces, on clients with scripted responses."""
