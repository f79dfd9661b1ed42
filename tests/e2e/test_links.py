"""Links over real connections: uploads below their address, hostile paths, and what the service leaves in its files."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dev.local.client import ApiResponse, FerryClient, expect

TUS = {"Tus-Resumable": "1.0.0"}
PASSWORD = "correct horse of the end-to-end tests"


def create_link(api: FerryClient, **members: Any) -> tuple[dict[str, Any], str]:
    """Create a link, and return it with its path."""
    link: dict[str, Any] = expect(api.post("/links", **members), 201, "link").json
    return link, f"/l/{link['url'].rpartition('/')[2]}"


def create_upload(client: FerryClient, path: str, body: bytes, name: str = "a.bin") -> ApiResponse:
    headers = {**TUS, "Upload-Length": "10", "Content-Type": "application/offset+octet-stream"}
    return client.request("POST", f"{path}/uploads?filename={name}", body, headers)


def test_guest_resumes_an_upload(api: FerryClient, anonymous: FerryClient, name: str) -> None:
    """The address in Location works as it is, the file is the owner's, and the link is used up."""
    _, path = create_link(api, kind="upload", prefix=f"{name}/", max_files=1)
    location = expect(create_upload(anonymous, path, b"01234"), 201, "creation").headers["location"]
    upload = location.removeprefix(anonymous.base_url)
    assert upload.startswith(f"{path}/uploads/")
    assert anonymous.request("HEAD", upload, None, TUS).headers["upload-offset"] == "5"
    headers = {**TUS, "Upload-Offset": "5", "Content-Type": "application/offset+octet-stream"}
    sent = expect(anonymous.request("PATCH", upload, b"56789", headers), 204, "append")
    assert (sent.headers["ferry-filename"], sent.headers["referrer-policy"]) == ("a.bin", "no-referrer")
    assert api.download(f"{name}/a.bin").body == b"0123456789"
    assert create_upload(anonymous, path, b"").json["code"] == "link_used_up"


@pytest.mark.parametrize(
    "suffix",
    [
        "/uploads/..",
        "/uploads/../../links",
        "/uploads/%2e%2e%2f%2e%2e%2flinks",
        "%2fuploads",
        "/uploads%2fx",
        "//uploads",
        "/uploads/x/../../files",
        "/download/..%2f..%2fout/foreign",
        "/download/in%2f..%2fout",
        "/download/%2e%2e/x",
        "/files?prefix=../",
        "/uploads?filename=..%2fx",
        "/uploads?filename=%2fx",
        "/uploads?filename=a%5cb",
        "/uploads?filename=a%00b",
    ],
)
@pytest.mark.parametrize("kind", ["download", "upload"])
def test_hostile_path_leaves_no_folder(api: FerryClient, anonymous: FerryClient, kind: str, suffix: str) -> None:
    """Dots, encoded slashes and doubled ones lead nowhere: every answer is an error, and none names a secret."""
    _, path = create_link(api, kind=kind, prefix="in/")
    for method in ("GET", "POST", "PATCH", "DELETE"):
        headers = {**TUS, "Upload-Length": "0", "Upload-Offset": "0"}
        got = anonymous.request(method, path + suffix, b"" if method != "GET" else None, headers)
        assert 400 <= got.status < 500, (method, got.status)
        assert path.rpartition("/")[2] not in got.body.decode()


def test_link_with_a_password_takes_uploads_by_its_token(api: FerryClient, anonymous: FerryClient) -> None:
    """Below its address it takes nothing; with its token, names are whole."""
    _, path = create_link(api, kind="upload", prefix="in/", password=PASSWORD)
    assert create_upload(anonymous, path, b"").status == 401
    assert anonymous.post(f"{path}/token", password=PASSWORD + "!").json["code"] == "link_password"
    token = expect(anonymous.post(f"{path}/token", password=PASSWORD), 200, "token").json["access_token"]
    guest = FerryClient(anonymous.base_url, token)
    location = expect(create_upload(guest, "", b"01234", "in/b.bin"), 201, "creation").headers["location"]
    upload = location.removeprefix(guest.base_url)
    assert re.fullmatch("/uploads/[0-9a-f]{32}", upload)
    assert guest.request("HEAD", upload, None, TUS).headers["upload-offset"] == "5"
    assert anonymous.request("HEAD", f"{path}{upload}", None, TUS).status == 401
