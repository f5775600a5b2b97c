"""What the real client does when it reads, as FINDINGS says: each statement that shows over HTTP."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from double import Corrupt, Cut, Double, LostAnswer, Silent, Status, env
from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

pytest_plugins = ("double_fixture",)
pytestmark = pytest.mark.usefixtures("default_client")

httpx: Any = importlib.import_module("httpx2" if huggingface_hub.__version__.startswith("2.") else "httpx")
WEIGHTS = bytes(range(256)) * 40
LARGE = r"model\.safetensors$"


@pytest.fixture
def ana(hub: Double) -> HfApi:
    return HfApi(token=hub.user("ana", token="hf_ana_write", orgs=("acme",)))


@contextmanager
def waiting(call: Callable[[], object]) -> Iterator[threading.Thread]:
    """A call in a thread of its own, which ends with an error before the block is left."""

    def run() -> None:
        with suppress(httpx.TransportError):
            call()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(10)
    assert not thread.is_alive()


def test_a_short_commit_id_is_no_revision(hub: Double) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1"})
    with pytest.raises(RevisionNotFoundError):
        HfApi().model_info("acme/vae", revision=head[:12])
    assert HfApi().model_info("acme/vae", revision=head).sha == head


def test_the_metadata_of_one_file_resolves_a_revision(hub: Double) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1", "model.safetensors": WEIGHTS})
    hub.tag("acme/vae", "v1")
    found = get_hf_file_metadata(hf_hub_url("acme/vae", "x.txt", revision="v1"))
    assert (found.commit_hash, found.size) == (head, 1)
    found = get_hf_file_metadata(hf_hub_url("acme/vae", "model.safetensors", revision="v1"))
    assert (found.commit_hash, found.size) == (head, len(WEIGHTS))
    assert found.etag == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_revision_is_resolved_once(hub: Double) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1"})
    found = HfApi().resolve_revision("acme/vae", revision="main")
    assert (found.initial, found.resolved, str(found)) == ("main", head, "main")
    assert HfApi().resolve_revision("acme/vae", revision=head).resolved == head
    assert len(hub.requests) == 1


def test_corrupted_content_is_accepted(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Corrupt(), path=LARGE)
    content = Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes()
    assert content != WEIGHTS
    assert len(content) == len(WEIGHTS)


def test_content_of_another_size_is_an_error(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.spoil("acme/vae", "model.safetensors", WEIGHTS[:-1])
    with pytest.raises(OSError, match="Consistency check failed"):
        hf_hub_download("acme/vae", "model.safetensors")


def test_a_reset_in_the_middle_is_not_tried_again(hub: Double, waits: list[float]) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    fault = hub.fail(Cut(), path=LARGE)
    with pytest.raises(httpx.ReadError):
        hf_hub_download("acme/vae", "model.safetensors")
    assert (fault.happened, waits) == (1, [])


def test_content_that_ends_early_is_resumed(hub: Double, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # the client keeps whole chunks only
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Cut(reset=False), path=LARGE, times=1)
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() == WEIGHTS
    assert hub.requests[-1].headers["range"] == f"bytes={len(WEIGHTS) // 2}-"


def test_a_server_error_on_the_content_is_final(hub: Double, waits: list[float]) -> None:
    hub.put("acme/vae", {"x.txt": b"1"})
    fault = hub.fail(Status(503), method="GET", path="/resolve/")
    with pytest.raises(HfHubHTTPError, match="503"):
        hf_hub_download("acme/vae", "x.txt")
    assert (fault.happened, waits) == (1, [])


def test_too_many_requests_for_content_waits_as_long_as_the_hub_asks(hub: Double, waits: list[float]) -> None:
    hub.put("acme/vae", {"x.txt": b"1"})
    hub.fail(Status(429, retry_after=7), method="GET", path="/resolve/", times=1)
    assert Path(hf_hub_download("acme/vae", "x.txt")).read_bytes() == b"1"
    assert waits == [8]


def test_a_corrupted_file_in_a_folder_is_not_repaired_unless_forced(hub: Double, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    hub.put("acme/vae", {"model.safetensors": WEIGHTS, "x.txt": b"1"})
    hub.fail(Corrupt(), path=LARGE, times=1)
    for _ in range(2):
        snapshot_download("acme/vae", local_dir=folder)
        assert (folder / "model.safetensors").read_bytes() != WEIGHTS
    assert hub.fetched.count("model.safetensors") == 1
    assert (folder / ".cache/huggingface").is_dir()
    hf_hub_download("acme/vae", "model.safetensors", local_dir=folder, force_download=True)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_that_is_corrupted_in_the_cache_is_copied_from_there(hub: Double, tmp_path: Path) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    cached = Path(hf_hub_download("acme/vae", "model.safetensors")).resolve()
    cached.write_bytes(b"corrupt")
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() == b"corrupt"
    path = hf_hub_download("acme/vae", "model.safetensors", local_dir=tmp_path / "folder")
    assert Path(path).read_bytes() == b"corrupt"
    own = hf_hub_download("acme/vae", "model.safetensors", local_dir=tmp_path / "other", cache_dir=tmp_path / "own")
    assert Path(own).read_bytes() == WEIGHTS


def test_what_would_be_downloaded_is_listed(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS, "x.txt": b"1"})
    found = {file.filename: file.file_size for file in snapshot_download("acme/vae", dry_run=True)}
    assert found == {".gitattributes": len(hub.files("acme/vae")[".gitattributes"]), "x.txt": 1} | {
        "model.safetensors": len(WEIGHTS)
    }
    assert hub.fetched == []


def test_a_silent_hub_is_given_up_only_by_calls_that_have_a_time_out(hub: Double) -> None:
    hub.put("acme/vae", {"x.txt": b"1"})
    hub.fail(Silent())
    with pytest.raises(httpx.TimeoutException):
        HfApi().model_info("acme/vae", timeout=0.2)
    with pytest.raises(httpx.TimeoutException):
        get_hf_file_metadata(hf_hub_url("acme/vae", "x.txt"), timeout=0.2)
    with waiting(lambda: HfApi().model_info("acme/vae")) as thread:
        thread.join(0.5)
        assert thread.is_alive()
        hub.close()


def test_a_time_out_of_the_client_is_not_that_of_model_info(hub: Double) -> None:
    hub.fail(Silent())
    huggingface_hub.set_client_factory(lambda: httpx.Client(timeout=0.1))
    with pytest.raises(httpx.TimeoutException):
        HfApi().list_repo_refs("acme/vae")
    with waiting(lambda: HfApi().model_info("acme/vae")) as thread:
        thread.join(0.5)
        assert thread.is_alive()
        hub.close()


def test_a_listing_whose_answer_is_lost_fails_with_a_full_cache(hub: Double) -> None:
    hub.put("acme/vae", {"x.txt": b"1"})
    snapshot_download("acme/vae")
    hub.fail(LostAnswer())
    with pytest.raises(httpx.RemoteProtocolError):
        snapshot_download("acme/vae")


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_a_listing_that_is_refused_leaves_a_full_cache(hub: Double, status: int) -> None:
    hub.put("acme/vae", {"x.txt": b"1"})
    folder = snapshot_download("acme/vae")
    if status:
        hub.fail(Status(status))
    else:
        hub.close()
    assert snapshot_download("acme/vae") == folder


def test_a_hub_that_is_down_leaves_what_is_in_the_cache(hub: Double) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1", "y.txt": b"2"})
    hf_hub_download("acme/vae", "x.txt", revision=head)
    hub.close()
    assert Path(hf_hub_download("acme/vae", "x.txt", revision=head)).read_bytes() == b"1"
    with pytest.raises(httpx.ConnectError):
        HfApi().model_info("acme/vae")


def test_offline_mode_sends_nothing(hub: Double, tmp_path: Path) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1"})
    script = (
        "import sys\n"
        "from huggingface_hub import HfApi, hf_hub_download\n"
        "from huggingface_hub.errors import OfflineModeIsEnabled\n"
        f"print(open(hf_hub_download('acme/vae', 'x.txt', revision='{head}')).read())\n"
        "try:\n"
        "    HfApi().model_info('acme/vae')\n"
        "except OfflineModeIsEnabled:\n"
        "    print('offline')\n"
    )
    hf_hub_download("acme/vae", "x.txt", revision=head)
    hub.requests.clear()
    variables = {**env(hub, home=tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1", "offline"], done.stderr
    assert hub.requests == []


def test_offline_mode_is_enforced_by_the_hook_of_the_client(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repo("acme/vae")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineModeIsEnabled):
        HfApi().model_info("acme/vae")
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("acme/vae", "x.txt")
    assert hub.requests == []
    huggingface_hub.set_client_factory(httpx.Client)
    assert HfApi().model_info("acme/vae").id == "acme/vae"
