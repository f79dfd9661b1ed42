"""Ferry's tests: one folder per kind, fakes of the ports in `fakes`."""
