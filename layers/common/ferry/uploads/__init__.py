"""Upload operations, one module each. docs/decisions/0001 specifies their order of calls and what a crash leaves."""
