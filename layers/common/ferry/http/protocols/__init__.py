"""The protocols of `/uploads`: tus 1.0.0 and the IETF draft "Resumable Uploads for HTTP", one module each."""
