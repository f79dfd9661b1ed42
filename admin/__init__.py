"""The operator's command, `ferry-admin`: clients, signing keys, quotas, on AWS or at a local service.

- `cli` builds the parser and turns results and errors into output and exit codes; `completion` writes shell completion.
- `commands` has one module for each group of subcommands; `connect` finds the tables that they work on.
- `clients`, `keys`, `recount` and `status` decide what to do (docs/decisions/0004 and 0006); `ports` says what storage
  they need; `store`, `quota_store` and `kms` provide it over DynamoDB and KMS.
"""
