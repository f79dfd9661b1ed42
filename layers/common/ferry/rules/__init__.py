"""Pure rules: arithmetic, names, ranges, digests and HTTP preconditions. No module here performs I/O."""
