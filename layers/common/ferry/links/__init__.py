"""Links: secret addresses by which people without an account download and upload files (docs/decisions/0014)."""
