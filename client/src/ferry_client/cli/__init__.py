"""The `ferry` command. `main` finds the subcommand and imports its module; each subcommand has a module of its own."""
