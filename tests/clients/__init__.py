"""Downloads with real programs through a proxy that breaks connections. `make test-clients` runs them."""
