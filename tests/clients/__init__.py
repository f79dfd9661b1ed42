"""Downloads by real programs, through a proxy that breaks them off. `make test-clients` runs them."""
