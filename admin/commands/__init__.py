"""One module for each group of subcommands, each with a `register(subparsers)`. `admin.cli` lists them."""
