#!/bin/sh
# Share a file and a folder, fetch both without a token, see what was fetched, and delete the links.
# Usage: links.sh FILE FOLDER/ FILE_IN_FOLDER
set -eu
json() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
body() { python3 -c 'import json, sys; names = iter(sys.argv[1:]); print(json.dumps(dict(zip(names, names))))' "$@"; }
quoted() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }
api() { curl -sS --fail-with-body -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }
create() { api -H 'Content-Type: application/json' -d "$1" "$FERRY_URL/links"; }
open() { curl -sS --fail-with-body --location "$@"; }

# The url is shown this once: who has it, has the file. Its last segment is the secret.
created=$(create "$(body kind download filename "$1" label 'For you')")
link_id=$(printf '%s' "$created" | json '["link_id"]')
secret=$(printf '%s' "$created" | json '["url"].rpartition("/")[2]')

# Without a token: what the link is for, and the file.
open "$FERRY_URL/l/$secret"
open "$FERRY_URL/l/$secret/download"

# A link to a folder has whole names.
secret=$(create "$(body kind download prefix "$2")" | json '["url"].rpartition("/")[2]')
open "$FERRY_URL/l/$secret/files" | json '["files"][0]["filename"]'
open "$FERRY_URL/l/$secret/download/$(quoted "$3")"

# A password keeps the link from those who find its address: they need a token, which the password opens.
secret=$(create "$(body kind download filename "$1" password 'correct horse')" | json '["url"].rpartition("/")[2]')
open -H 'Content-Type: application/json' -d '{"password": "correct horse"}' "$FERRY_URL/l/$secret/token" | json '["scope"]'

# The links, the counters of one, and who fetched what, by network. A deleted link ends within a minute.
api "$FERRY_URL/links?limit=2" | json '["links"][1]["state"]'
api "$FERRY_URL/links/$link_id" | json '["used"]'
api "$FERRY_URL/links/$link_id/activity" | json '["activity"]'
api -X DELETE "$FERRY_URL/links/$link_id"

# Crawlers are kept away from links.
open "$FERRY_URL/robots.txt"
