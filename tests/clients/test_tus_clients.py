"""Uploads by clients of tus, unchanged, to the local service: whole, over a line that is cut, and across a kill."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.protocols import clients
from dev.protocols.disruptions import DisruptedService, Disruption, disrupted_service, spread
from tests.clients.conftest import sha256_of
from tests.e2e.clients import MIB

SIZES = (0, 1, 4 * MIB, 9 * MIB + 3)
LARGEST = SIZES[-1]
CASES = [(size, clients.CHUNK_BYTES) for size in SIZES]
CASES += [(size, clients.ODD_CHUNK_BYTES) for size in SIZES[2:]]
CASES += [(2 * MIB + 3, clients.SMALL_CHUNK_BYTES)]
"""Sizes of files, and chunk sizes."""

DISRUPTIONS = [
    pytest.param([Disruption.CUT, Disruption.CUT, Disruption.CUT], id="cuts"),
    pytest.param([Disruption.CUT, Disruption.KILL], id="kill"),
]

# aiotus hands its chunks to aiohttp as bytes.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisruptedService]:
    with disrupted_service(tmp_path_factory.mktemp("tus") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def npm_packages() -> None:
    """Install the JavaScript clients."""
    if shutil.which("npm") is None:
        pytest.fail("npm is not installed. On Debian run: apt-get install npm")
    clients.install_npm_packages()


@pytest.fixture
def upload(service: DisruptedService, tmp_path: Path, request: pytest.FixtureRequest) -> clients.Upload:
    """An upload of the largest file, named after the test. `prepared` gives it another size and chunk size."""
    path = tmp_path / "content"
    return clients.Upload(f"{service.base_url}/uploads", service.log_in().token, path, f"{request.node.name}.bin")


def prepared(upload: clients.Upload, size: int, chunk_bytes: int = clients.CHUNK_BYTES) -> clients.Upload:
    """Write the file, and return the upload with the chunk size."""
    upload.path.write_bytes(random.Random(size).randbytes(size))
    return clients.Upload(upload.endpoint, upload.token, upload.path, upload.name, chunk_bytes)


def assert_uploaded(service: DisruptedService, upload: clients.Upload) -> None:
    """Assert that the service has the file, byte for byte."""
    body = service.log_in().download(upload.name).body
    assert sha256_of(body) == sha256_of(upload.path.read_bytes())


@pytest.mark.parametrize(("size", "chunk_bytes"), CASES)
@pytest.mark.parametrize("client", clients.PYTHON_CLIENTS)
def test_python_client_uploads_every_byte(
    service: DisruptedService, upload: clients.Upload, client: str, size: int, chunk_bytes: int
) -> None:
    """The file arrives whole, whatever its size and the size of the requests are."""
    upload = prepared(upload, size, chunk_bytes)
    service.run(lambda: clients.PYTHON_CLIENTS[client](upload))
    assert_uploaded(service, upload)


def send_by_link(service: DisruptedService, upload: clients.Upload, client: Callable[[clients.Upload], None]) -> None:
    """Upload below the address of a link, without a token, and assert that the file is in its folder."""
    api = service.log_in()
    secret = api.post("/links", kind="upload", prefix="by link/").json["url"].rpartition("/")[2]
    endpoint = f"{service.base_url}/l/{secret}/uploads"
    by_link = clients.Upload(endpoint, "none", upload.path, upload.name, upload.chunk_bytes)
    service.run(lambda: client(by_link))
    assert sha256_of(api.download(f"by link/{upload.name}").body) == sha256_of(upload.path.read_bytes())


@pytest.mark.parametrize("client", clients.PYTHON_CLIENTS)
def test_python_client_uploads_by_a_link(service: DisruptedService, upload: clients.Upload, client: str) -> None:
    """The client needs nothing but the address of the link."""
    send_by_link(service, prepared(upload, LARGEST), clients.PYTHON_CLIENTS[client])


def test_tus_js_client_uploads_by_a_link(service: DisruptedService, upload: clients.Upload, npm_packages: None) -> None:
    """The client needs nothing but the address of the link."""
    send_by_link(service, prepared(upload, LARGEST), clients.upload_by_tus_js)


@pytest.mark.parametrize("disruptions", DISRUPTIONS)
@pytest.mark.parametrize("client", clients.PYTHON_CLIENTS)
def test_python_client_disrupted_uploads_every_byte(
    service: DisruptedService, upload: clients.Upload, client: str, disruptions: list[Disruption]
) -> None:
    """The client continues after cuts of its connection, and after a kill of the service."""
    upload = prepared(upload, LARGEST)
    service.run(lambda: clients.PYTHON_CLIENTS[client](upload), spread(LARGEST, disruptions))
    assert_uploaded(service, upload)


@pytest.mark.usefixtures("npm_packages")
@pytest.mark.parametrize("size", SIZES)
def test_tus_js_client_uploads_every_byte(service: DisruptedService, upload: clients.Upload, size: int) -> None:
    """The file arrives whole, whatever its size is."""
    upload = prepared(upload, size)
    service.run(lambda: clients.upload_by_tus_js(upload))
    assert_uploaded(service, upload)


@pytest.mark.usefixtures("npm_packages")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"parallelUploads": 3}, id="parallel"),
        pytest.param({"uploadDataDuringCreation": "true"}, id="creation-with-upload"),
        pytest.param({"protocol": "ietf-draft-03"}, id="draft-03"),
        pytest.param({"protocol": "ietf-draft-05"}, id="draft-05"),
    ],
)
def test_tus_js_client_option_uploads_every_byte(
    service: DisruptedService, upload: clients.Upload, options: dict[str, object]
) -> None:
    """The file arrives whole by concatenation, with bytes in the creation, and by two versions of the draft."""
    upload = prepared(upload, LARGEST)
    service.run(lambda: clients.upload_by_tus_js(upload, **options))
    assert_uploaded(service, upload)


@pytest.mark.usefixtures("npm_packages")
@pytest.mark.parametrize("disruptions", DISRUPTIONS)
def test_tus_js_client_disrupted_uploads_every_byte(
    service: DisruptedService, upload: clients.Upload, disruptions: list[Disruption]
) -> None:
    """The client continues after cuts of its connection, and after a kill of the service."""
    upload = prepared(upload, LARGEST)
    service.run(lambda: clients.upload_by_tus_js(upload), spread(LARGEST, disruptions))
    assert_uploaded(service, upload)
