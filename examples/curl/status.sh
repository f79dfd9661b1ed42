#!/bin/sh
# Show the progress of one upload, wait for the next change, and list all uploads in progress. Usage: status.sh NAME
set -eu
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }

api --dump-header status.headers "$FERRY_URL/status/$1" > status.json
cat status.json

# The same again costs a 304 without a body as long as nothing has changed.
etag=$(awk 'tolower($1) == "etag:" {print $2}' status.headers | tr -d '\r')
api -o /dev/null -w '%{http_code}\n' -H "If-None-Match: $etag" "$FERRY_URL/status/$1"

# Long polling: the response comes with the next change, or unchanged after one second here (20 at most).
api "$FERRY_URL/status/$1?wait=1&since=$(json '["version"]' < status.json)"

api "$FERRY_URL/status?limit=10"
