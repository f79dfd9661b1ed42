#!/bin/sh
# Cancel the upload in progress of a name. A finished file of that name stays. Usage: cancel.sh NAME
set -eu

# 204, and 204 again when it is repeated.
curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $FERRY_TOKEN" "$FERRY_URL/upload/$1"
