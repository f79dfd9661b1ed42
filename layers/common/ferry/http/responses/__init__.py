"""The JSON objects of responses, one frozen dataclass each; field names are member names.

The OpenAPI document is generated from these classes (`dev.openapi`): docstrings become descriptions. Creating a
dataclass takes time in a cold start, so each module holds what one function responds with. Import the submodule.
"""
