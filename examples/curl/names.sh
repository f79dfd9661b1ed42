#!/bin/sh
# Names with spaces, quotes, "?", "#" or any other character: pass them as ?filename= instead of in the path.
set -eu
name='Año 100%: "what?" #1.txt'
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
api() { curl -sS --fail-with-body --location -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }
named() { api --get --data-urlencode "filename=$name" "$@"; }
start() { python3 -c 'import json, sys; print(json.dumps({"filename": sys.argv[1], "size": 5, "if_exists": "replace", "restart": True}))' "$name"; }
upload_id() { json '["upload_id"]' < plan.json; }
chunk() { python3 -c 'import json, sys; print(json.dumps({"filename": sys.argv[1], "upload_id": sys.argv[2], "chunk_index": 1, "data": "SGVsbG8="}))' "$name" "$(upload_id)"; }
complete() { python3 -c 'import json, sys; print(json.dumps({"filename": sys.argv[1], "upload_id": sys.argv[2]}))' "$name" "$(upload_id)"; }
post() { api -H 'Content-Type: application/json' -d "$2" "$FERRY_URL$1"; }

post /upload/start "$(start)" > plan.json
named -X DELETE --data-urlencode "upload_id=$(upload_id)" "$FERRY_URL/upload" # cancel it
post /upload/start "$(start)" > plan.json
post /upload/chunk "$(chunk)"
named "$FERRY_URL/status"
post /upload/complete "$(complete)"
named --head "$FERRY_URL/download"
named "$FERRY_URL/download"
named --head "$FERRY_URL/download/partial"
named -H 'Range: bytes=0-1' "$FERRY_URL/download/partial"
query="filename=$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1]))' "$name")"
api -X PUT --data-binary Hello -H 'Content-Type: application/octet-stream' "$FERRY_URL/files?$query"
api -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{"content_type": "text/plain"}' "$FERRY_URL/files?$query"
named "$FERRY_URL/files" # its record
named -X DELETE "$FERRY_URL/files"
