"""Generate the OpenAPI document from the routes and their types."""
