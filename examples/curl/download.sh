#!/bin/sh
# Download a file, or resume its download. Usage: download.sh NAME [TARGET]
set -eu
target=${2:-$1}
api() { curl -sS --fail-with-body --location -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }

# HEAD never redirects. Its ETag names this version of the file: If-Match below fetches it, or fails with 412.
etag=$(api --head "$FERRY_URL/download/$1" | awk 'tolower($1) == "etag:" {print $2; exit}' | tr -d '\r')
if [ ! -e "$target.etag" ] || [ "$(cat "$target.etag")" != "$etag" ]; then
  rm -f "$target"
  printf '%s\n' "$etag" > "$target.etag"
fi

# Files over 4 MiB are redirected to S3. --location follows, and leaves the token behind.
api -H "If-Match: $etag" --continue-at - --output "$target" "$FERRY_URL/download/$1"
