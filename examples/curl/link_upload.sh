#!/bin/sh
# Send a file by an upload link: no account and no token are needed. Usage: link_upload.sh LINK FILE [NAME]
set -eu
link=$1 file=$2
name=${3:-$(basename "$2")}
base64() { openssl base64 -A; }
tus() { curl -sS --fail-with-body -H 'Tus-Resumable: 1.0.0' "$@"; }
header() { tr -d '\r' | sed -n "s/^$1: *//Ip"; }
create() {
  tus -X POST -D - -H "Upload-Length: $1" -H "Upload-Metadata: filename $(printf '%s' "$2" | base64)" "$link/uploads" |
    header location
}

# Keep the upload's address: after a break, HEAD returns how far it is. Who has it can send and delete this upload.
size=$(wc -c <"$file")
upload=$(create "$size" "$name")
offset=0
while [ "$offset" -lt "$size" ]; do
  tail -c "+$((offset + 1))" "$file" | head -c 4194304 |
    tus -X PATCH --data-binary @- -H 'Content-Type: application/offset+octet-stream' -H "Upload-Offset: $offset" "$upload"
  offset=$(tus --head "$upload" | header upload-offset)
done
tus --head "$upload" | header ferry-filename

# Where only GET and POST pass, X-HTTP-Method-Override names the method. A deleted upload gives back what it took.
upload=$(create 5 "$name (other)")
printf 'he' | tus -X POST --data-binary @- -H 'X-HTTP-Method-Override: PATCH' -H 'Upload-Offset: 0' \
  -H 'Content-Type: application/offset+octet-stream' "$upload"
tus -D - -o /dev/null "$upload" | header upload-offset
tus -X DELETE "$upload"
