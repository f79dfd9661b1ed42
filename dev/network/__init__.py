"""A model of networks: delay, rate, resets, stalls and outages between a client and a server."""
