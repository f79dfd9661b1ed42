"""The contracts of the ports: one suite for each, run on the fake and on the adapter."""
