#!/bin/sh
# Upload a file in parts, directly to S3. Usage: upload_parts.sh FILE [NAME]
set -eu
file=$1
name=${2:-$(basename "$file")}
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
api() { curl -sS --fail-with-body --retry 8 -H "Authorization: Bearer $FERRY_TOKEN" -H 'Content-Type: application/json' "$@"; }
retry_after() { tr -d '\r' | sed -n 's/^[Rr]etry-[Aa]fter: *//p' | tail -n 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The fingerprint makes a repeated start resume this upload, and only this one.
start() { python3 -c 'import json, os, sys
about = os.stat(sys.argv[2])
print(json.dumps({"filename": sys.argv[1], "size": about.st_size, "fingerprint": f"{about.st_ino}-{about.st_mtime_ns}"}))' "$@"; }
api -d "$(start "$name" "$file")" "$FERRY_URL/upload/start" > "$work/plan.json"
if [ "$(json '["state"]' < "$work/plan.json")" = complete ]; then
  echo "$name is already there"
  exit
fi
part_size=$(json '["part_size"]' < "$work/plan.json")
upload_id=$(json '["upload_id"]' < "$work/plan.json")

# Presign one part at a time; a request may ask for up to 100 URLs. A URL is valid for 15 minutes and needs no token.
sign() { python3 -c 'import json, sys; print(json.dumps({"filename": sys.argv[1], "upload_id": sys.argv[2], "parts": [{"part_number": int(sys.argv[3])}]}))' "$@"; }
for number in $(seq 1 "$(json '["part_count"]' < "$work/plan.json")"); do
  api -d "$(sign "$name" "$upload_id" "$number")" "$FERRY_URL/upload/parts" > "$work/part.json"
  dd if="$file" of="$work/part" bs="$part_size" skip=$((number - 1)) count=1 status=none
  curl -sS --fail-with-body --retry 8 -H 'Content-Type:' -T "$work/part" "$(json '["parts"][0]["url"]' < "$work/part.json")"
done

complete() { python3 -c 'import json, sys; print(json.dumps({"filename": sys.argv[1], "upload_id": sys.argv[2]}))' "$@"; }
# 202 means that the file is not finished yet: repeat the request after Retry-After seconds.
while [ "$(api -o "$work/file.json" -D "$work/headers" -w '%{http_code}' -d "$(complete "$name" "$upload_id")" "$FERRY_URL/upload/complete")" = 202 ]; do
  sleep "$(retry_after < "$work/headers")"
done
cat "$work/file.json"
