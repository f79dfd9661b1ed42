#!/bin/sh
# Upload a file in chunks, or resume its upload. Usage: upload.sh FILE [NAME]
set -eu
file=$1
name=${2:-$(basename "$file")}
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
encode() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }
body() { python3 -c 'import json, sys; print(json.dumps(dict(zip(["filename", "upload_id"], sys.argv[1:]))))' "$@"; }
digest() { python3 -c 'import base64, hashlib, sys; print(base64.b64encode(hashlib.sha256(sys.stdin.buffer.read()).digest()).decode())'; }
api() { curl -sS --fail-with-body --retry 8 -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }
retry_after() { tr -d '\r' | sed -n 's/^[Rr]etry-[Aa]fter: *//p' | tail -n 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The fingerprint makes a repeated start resume this upload, and only this one.
python3 - "$file" "$name" > "$work/start.json" <<'END'
import json, os, sys
about = os.stat(sys.argv[1])
json.dump({"filename": sys.argv[2], "size": about.st_size, "fingerprint": f"{about.st_ino}-{about.st_mtime_ns}"}, sys.stdout)
END
api -H 'Content-Type: application/json' -d "@$work/start.json" "$FERRY_URL/upload/start" > "$work/plan.json"
if [ "$(json '["state"]' < "$work/plan.json")" = complete ]; then
  echo "$name is already there"
  exit
fi
chunk_size=$(json '["chunk_size"]' < "$work/plan.json")
upload_id=$(json '["upload_id"]' < "$work/plan.json")
chunk_url=$(json '["chunk_url"]' < "$work/plan.json")

# Send what is missing. 200 means that the chunk is durable; a chunk that is sent twice counts once.
api "$FERRY_URL/status/$(encode "$name")" > "$work/status.json"
for index in $(python3 -c 'import json, sys
for first, last in json.load(sys.stdin)["missing"]: print(*range(first, last + 1))' < "$work/status.json"); do
  dd if="$file" of="$work/chunk" bs="$chunk_size" skip=$((index - 1)) count=1 status=none
  api -o /dev/null -H 'Content-Type: application/octet-stream' -H "Content-Digest: sha-256=:$(digest < "$work/chunk"):" \
    --data-binary "@$work/chunk" "$chunk_url?filename=$(encode "$name")&chunk_index=$index&upload_id=$upload_id"
done

# 202 means that the file is not finished yet: repeat the request after Retry-After seconds.
while :; do
  status=$(api -o "$work/file.json" -D "$work/headers" -w '%{http_code}' -H 'Content-Type: application/json' \
    -d "$(body "$name" "$upload_id")" "$FERRY_URL/upload/complete")
  [ "$status" = 202 ] || break
  sleep "$(retry_after < "$work/headers")"
done
cat "$work/file.json"
