"""The JSON bodies of requests. Values are not coerced, and unknown members are rejected.

Each module holds what one request needs, because creating a model takes time in a cold start. Import the submodule.
"""
