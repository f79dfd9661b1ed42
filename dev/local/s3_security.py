"""Close SeaweedFS's own ports: each of them asks for a client certificate, and its HTTP ports also for a key.

SeaweedFS's components (master, volume server, filer, S3, admin) are one process, and reach each other over TCP. They
get one certificate, which is new in each start, and which nothing else has.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import json
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dev.local import tcp_ports
from dev.local.errors import LocalError

_CERTIFICATE, _KEY = "tls-certificate.pem", "tls-key.pem"
_SIGNING_SECTIONS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_GRPC_COMPONENTS = ("master", "volume", "filer", "s3", "admin", "worker", "client", "msg_broker", "msg_agent", "mq")
_HTTP_COMPONENTS = ("master", "volume", "filer", "admin")
_MAX_SOCKET_PATH_BYTES = 103
"""Of macOS; Linux has four more."""
_VALIDITY = dt.timedelta(days=3650)


def write_settings(folder: Path) -> None:
    """Write SeaweedFS's `security.toml`, with new keys and a new certificate, for its owner only."""
    certificate, key = _create_certificate()
    _write_private(folder / _CERTIFICATE, certificate)
    _write_private(folder / _KEY, key)
    certificate_path, key_path = (_quote(folder / name) for name in (_CERTIFICATE, _KEY))
    pair, authority = f"cert = {certificate_path}\nkey = {key_path}\n", f"ca = {certificate_path}\n"
    sections = {section: f'key = "{secrets.token_hex(32)}"\n' for section in _SIGNING_SECTIONS}
    sections["grpc"] = authority
    sections.update((f"grpc.{component}", pair) for component in _GRPC_COMPONENTS)
    sections.update((f"https.{component}", pair + authority) for component in _HTTP_COMPONENTS)
    sections["https.client"] = f"enabled = true\n{pair}{authority}"
    text = "\n".join(f"[{name}]\n{settings}" for name, settings in sections.items())
    _write_private(folder / "security.toml", text.encode())


@dataclass(frozen=True, slots=True)
class Sockets:
    """The Unix sockets of a server, in a folder that only this user may open."""

    folder: Path
    """The folder. The state folder is copied, and its path may be too long for a socket."""

    @property
    def s3(self) -> Path:
        """S3's socket."""
        return self.folder / "s3.sock"

    @property
    def filer(self) -> Path:
        """The filer's socket, which nothing uses."""
        return self.folder / "filer.sock"

    def create(self) -> None:
        """Create the folder. Raises `LocalError` when another user has created it, or its path is too long."""
        if len(os.fsencode(self.filer)) > _MAX_SOCKET_PATH_BYTES:
            raise LocalError(f"the path {self.filer} is too long for a socket: set TMPDIR to a shorter folder")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise LocalError(f"{self.folder} is not a private folder of this user: remove it")

    def remove(self) -> None:
        """Remove the sockets and the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sockets_for(folder: Path) -> Sockets:
    """Return the sockets of the server that has this folder."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Sockets(Path(tempfile.gettempdir()) / f"ferry-{os.getuid()}-{name}")


def server_options(folder: Path) -> list[str]:
    """Return the options of `weed mini` that close S3's port, besides `write_settings`, and open its Unix socket."""
    sockets = sockets_for(folder)
    return [
        f"-s3.cert.file={folder / _CERTIFICATE}",
        f"-s3.key.file={folder / _KEY}",
        f"-s3.cacert.file={folder / _CERTIFICATE}",
        "-s3.tlsVerifyClientCert=true",
        f"-s3.localSocket={sockets.s3}",
        f"-filer.localSocket={sockets.filer}",
    ]


def _create_certificate() -> tuple[bytes, bytes]:
    """Return a certificate that is its own authority, and its private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ferry-local")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address(tcp_ports.HOST))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _quote(path: Path) -> str:
    """Return a path as a string of TOML."""
    return json.dumps(str(path), ensure_ascii=False)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
