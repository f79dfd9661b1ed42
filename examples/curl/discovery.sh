#!/bin/sh
# Read what needs no token: health, the API description, the public keys. Environment: FERRY_URL.
set -eu

curl -sS --fail-with-body "$FERRY_URL/health"
curl -sS --fail-with-body "$FERRY_URL/openapi.json" -o openapi.json
curl -sS --fail-with-body "$FERRY_URL/.well-known/jwks.json"
