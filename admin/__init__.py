"""The operator's command, `ferry-admin`: clients and keys, on AWS or beside a local service.

`clients` and `keys` decide (docs/decisions/0006), `registry` says what they need, `table` is that over DynamoDB;
`commands` has a module for each group of subcommands, `connect` finds what they work on, `cli` puts them together.
"""
