#!/bin/sh
# Print an access token. Environment: FERRY_URL, CLIENT_ID, CLIENT_SECRET.
set -eu

curl -sS --fail-with-body -u "$CLIENT_ID:$CLIENT_SECRET" \
  -d grant_type=client_credentials "$FERRY_URL/auth/token" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])'
