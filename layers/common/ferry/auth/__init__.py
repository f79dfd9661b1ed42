"""Authentication: issuing access tokens, publishing the signing keys, verifying tokens (docs/decisions/0006).

Import the submodule that is needed: the verifiers must not load the issuer, which costs cold start.
"""
