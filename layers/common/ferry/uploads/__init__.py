"""The upload engine: one module per operation, by the protocol of docs/decisions/0001."""
