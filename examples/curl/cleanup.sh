#!/bin/sh
# Expire the uploads of this namespace that have had no activity for a day. Needs the scope files:admin.
set -eu
api() { curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }

# See first what would go. While "complete" is false, repeat with the "cursor" of the response.
api "$FERRY_URL/cleanup?older_than=86400&dry_run=true"
api "$FERRY_URL/cleanup?older_than=86400"
