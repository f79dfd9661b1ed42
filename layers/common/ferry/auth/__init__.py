"""Who may do what: tokens issued to clients, the published keys, and the check of a token.

Import the submodule that is needed: what checks tokens does not load what issues them.
"""
