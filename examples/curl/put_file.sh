#!/bin/sh
# Store a file of up to 4 MiB in one request, then read its record and change its type. Usage: put_file.sh FILE [NAME]
set -eu
name=${2:-$(basename "$1")}
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }

# 201 for a new name, 200 for a replaced file. With If-None-Match: * an existing file stays, and the response is a 412.
# application/octet-stream arrives byte for byte through every gateway; content_type is the type of the file.
digest=$(openssl dgst -sha256 -binary "$1" | openssl base64)
api -X PUT --data-binary "@$1" -H 'Content-Type: application/octet-stream' -H "Content-Digest: sha-256=:$digest:" \
  -H "Ferry-Metadata: $(printf '{"camera": "front"}' | openssl base64 -A)" "$FERRY_URL/files/$name?content_type=text/plain"

# If-Match takes the ETag of the content, as downloads have it, or the header's, which every change of the record changes.
etag=$(api "$FERRY_URL/files/$name" | json '["etag"]')
api -X PATCH -H 'Content-Type: application/merge-patch+json' -H "If-Match: $etag" \
  -d '{"content_type": "text/csv", "metadata": {"camera": null}}' "$FERRY_URL/files/$name"

# What the namespace may have, and has: {} without limits.
api "$FERRY_URL/usage"
