"""HTTP: gateway events to requests, and results to responses. Import the submodules: each loads only what it needs."""
