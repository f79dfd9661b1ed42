# Source this file to put python3.13 on the PATH. SAM CLI requires it, and it writes the layer's bytecode.
# A machine without it uses the Python of the runtime image (`make runtime-image`), through the image's own loader and
# without root or Docker.
if ! python3.13 -c '' 2>/dev/null; then
  here=$PWD/build/docker/python
  if [ ! -x "$here/bin/python3.13" ] || [ build/docker/image.tar -nt "$here/bin/python3.13" ]; then
    if [ ! -s build/docker/image.tar ]; then
      echo "Python 3.13, the version of the functions, was not found. Install it, or on Debian run: make runtime-image" >&2
      exit 1
    fi
    rm -rf "$here"
    mkdir -p "$here/bin" "$here/root"
    tar -xf build/docker/image.tar -C "$here/root" ./usr ./lib ./lib64
    cat >"$here/bin/python3.13" <<SCRIPT
#!/bin/sh
root='$here/root'
PYTHONHOME="\$root/usr" exec "\$root/usr/lib64/ld-linux-x86-64.so.2" \\
  --library-path "\$root/usr/lib/x86_64-linux-gnu" --argv0 "\$0" "\$root/usr/bin/python3.13" "\$@"
SCRIPT
    chmod 755 "$here/bin/python3.13"
  fi
  PATH=$here/bin:$PATH
fi
