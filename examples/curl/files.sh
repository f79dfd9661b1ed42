#!/bin/sh
# List the finished files whose names begin with a prefix, page by page, then delete one. Usage: files.sh PREFIX [NAME]
set -eu
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }

cursor=
while :; do
  api --get --data-urlencode "prefix=$1" ${cursor:+--data-urlencode "cursor=$cursor"} -d limit=2 "$FERRY_URL/files" > page.json
  python3 -c 'import json, sys
for file in json.load(sys.stdin)["files"]: print(file["size"], file["filename"])' < page.json
  cursor=$(python3 -c 'import json, sys; print(json.load(sys.stdin).get("cursor", ""))' < page.json)
  [ -n "$cursor" ] || break
done

# 204. Downloads in progress continue for a day.
[ -z "${2:-}" ] || api -X DELETE "$FERRY_URL/files/$2"
