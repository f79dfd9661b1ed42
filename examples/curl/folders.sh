#!/bin/sh
# Show a folder, move a file out of it, delete another, and restore that one. Usage: folders.sh FOLDER/ FILE NEW_NAME OTHER
set -eu
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
body() { python3 -c 'import json, sys; names = iter(sys.argv[1:]); print(json.dumps(dict(zip(names, names))))' "$@"; }
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }
post() { api -H 'Content-Type: application/json' -d "$2" "$FERRY_URL/files/$1"; }

# The files and folders directly in the folder. With a cursor in the response there are more: send it as cursor=.
api --get --data-urlencode "prefix=$1" -d delimiter=/ "$FERRY_URL/files" | python3 -c 'import json, sys
page = json.load(sys.stdin)
for entry in sorted(page["prefixes"] + [file["filename"] for file in page["files"]]): print(entry)'

# With its ETag the move can be repeated: a second request for the same move is the same 200.
etag=$(api --get --data-urlencode "filename=$2" "$FERRY_URL/files" | json '["etag"]')
post move "$(body from "$2" to "$3" etag "$etag")"

# Up to 100 names. What is not deleted is in missing or in errors.
post delete "$(python3 -c 'import json, sys; print(json.dumps({"filenames": sys.argv[1:]}))' "$4")"

# Files that were deleted or replaced, until when they can be restored; then the last one of this name.
api --get --data-urlencode "prefix=$4" -d deleted=true "$FERRY_URL/files" | json '["files"][0]["restorable_until"]'
post restore "$(body filename "$4" if_exists rename)"
