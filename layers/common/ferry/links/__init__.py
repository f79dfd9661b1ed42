"""Links: capabilities for people without an account (docs/decisions/0014)."""
