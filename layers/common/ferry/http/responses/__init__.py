"""The JSON objects of responses, one frozen dataclass each; field names are member names.

The OpenAPI document is generated from these classes (`dev.openapi`): their docstrings are its descriptions. Each module
holds what one response needs, because creating a dataclass takes time in a cold start. Import the submodule.
"""
