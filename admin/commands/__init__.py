"""One module for each group of subcommands. Each has a `register(groups)`; `admin.cli` has the list of them."""
