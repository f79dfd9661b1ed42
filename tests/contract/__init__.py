"""One suite per port, run over its fake and over real or simulated backends."""
