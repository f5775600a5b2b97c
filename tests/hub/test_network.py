"""The surroundings of the client: proxies, certificates of one's own authority, and what does not answer."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from double import without_settings
from huggingface_hub.utils import _http

from zoo.hub.download import session
from zoo.hub.session import bounded

PULL = "import sys, zoo.cli; sys.argv = ['zoo', 'pull', *sys.argv[1:]]; zoo.cli.main()"


class Teapot:
    """A server that answers everything with 418, and notes what it was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(418)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxy() -> Iterator[Teapot]:
    teapot = Teapot()
    yield teapot
    teapot.close()


def error(home: Path, source: str = "hub:acme/vae", **settings: str) -> str:
    """The one line of a pull that fails, in an environment with nothing but these settings of the network."""
    own = {name: value for name, value in without_settings(os.environ).items() if not name.startswith("SSL_CERT")}
    env = {**own, "ZOO_CACHE_DIR": str(home), "HF_HUB_DISABLE_XET": "1", **settings}
    done = subprocess.run(
        [sys.executable, "-c", PULL, source], env=env, capture_output=True, text=True, timeout=60, cwd=home
    )
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_proxy_is_used(proxy: Teapot, tmp_path: Path) -> None:
    address = f"http://ana:secret@127.0.0.1:{proxy.port}"
    said = error(tmp_path, HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=address, http_proxy=address)
    assert "http://hub.invalid answers 418" in said
    assert proxy.asked[-1] == "http://hub.invalid/acme/vae/resolve/main/manifest.json"
    assert "secret" not in said


def test_a_password_in_the_endpoint_is_not_shown(tmp_path: Path) -> None:
    said = error(tmp_path, HF_ENDPOINT="http://ana:secret@127.0.0.1:9")
    assert "cannot be reached" in said
    assert "secret" not in said


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 of an authority that nobody knows: its file, and a server's context with it."""
    x509 = pytest.importorskip("cryptography.x509", reason="needs cryptography: pip install 'genzoo[sign]'")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "zoo tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("authority")
    bundle, private = folder / "authority.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    return bundle, context


def test_an_authority_of_ones_own(authority: tuple[Path, ssl.SSLContext], tmp_path: Path) -> None:
    bundle, context = authority
    server = Teapot(context)
    address = f"https://127.0.0.1:{server.port}"
    try:
        said = error(tmp_path, HF_ENDPOINT=address)
        assert "shows a certificate that is not trusted here" in said
        assert "SSL_CERT_FILE or REQUESTS_CA_BUNDLE" in said
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            assert f"{address} answers 418" in error(tmp_path, HF_ENDPOINT=address, **{name: str(bundle)})
    finally:
        server.close()


def test_threads_share_one_client_that_trusts_it(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, _ = authority
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    before = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    made: list[str | None] = []

    def slow() -> Any:
        made.append(os.environ.get("SSL_CERT_FILE"))
        time.sleep(0.05)
        return before()

    huggingface_hub.set_client_factory(slow)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda _: session(), range(8)))) == 1
        assert made == [str(bundle)]
        with bounded(), ThreadPoolExecutor(8) as pool:  # in which the client makes sessions by itself, too
            asked = [pool.submit(ask) for ask in (session, huggingface_hub.get_session) * 4]
            for one in asked:
                one.result(timeout=30)
        assert set(made) == {str(bundle)}
        assert "SSL_CERT_FILE" not in os.environ
    finally:
        huggingface_hub.set_client_factory(before)
