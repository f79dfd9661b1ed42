#!/bin/sh
# Download a range of a file. Usage: download_range.sh NAME FIRST-LAST TARGET
set -eu
api() { curl -sS --fail-with-body --location -H "Authorization: Bearer $FERRY_TOKEN" "$@"; }

api --head "$FERRY_URL/download/partial/$1"
api -H "Range: bytes=$2" --output "$3" "$FERRY_URL/download/partial/$1"
