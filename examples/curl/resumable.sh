#!/bin/sh
# Upload a file by tus 1.0.0, in pieces of up to 4 MiB, then create another upload and cancel it.
# Usage: resumable.sh FILE [NAME]
set -eu
name=${2:-$(basename "$1")}
base64() { openssl base64 -A; }
quoted() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" -H 'Tus-Resumable: 1.0.0' "$@"; }
header() { tr -d '\r' | sed -n "s/^$1: *//Ip"; }
create() {
  api -X POST -D - -H "Upload-Length: $1" -H "Upload-Metadata: filename $(printf '%s' "$2" | base64)" "$FERRY_URL/uploads" |
    header location
}

# Keep the upload's address: after a break, HEAD returns how far it is.
size=$(wc -c <"$1")
upload=$(create "$size" "$name")
offset=0
while [ "$offset" -lt "$size" ]; do
  tail -c "+$((offset + 1))" "$1" | head -c 4194304 |
    api -X PATCH --data-binary @- -H 'Content-Type: application/offset+octet-stream' -H "Upload-Offset: $offset" "$upload"
  offset=$(api --head "$upload" | header upload-offset)
done
api "$FERRY_URL/status?filename=$(quoted "$name")"

# Where only GET and POST pass, X-HTTP-Method-Override names the method, and GET returns what HEAD does.
upload=$(create 5 "$name (other)")
printf 'he' | api -X POST --data-binary @- -H 'X-HTTP-Method-Override: PATCH' -H 'Upload-Offset: 0' \
  -H 'Content-Type: application/offset+octet-stream' "$upload"
api -D - -o /dev/null "$upload" | header upload-offset
api -X DELETE "$upload"
