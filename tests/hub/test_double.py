"""The local double of the Hub does what the real client expects, and shows what FINDINGS says of that client."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from double import Corrupt, Cut, Double, Status
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError

pytest_plugins = ("double_fixture",)

WEIGHTS = bytes(range(256)) * 40


def test_files_are_fetched_from_the_hub_and_from_the_storage(hub: Double) -> None:
    commit = hub.put("acme/vae", {"README.md": b"# A model", "model.safetensors": WEIGHTS})
    for name, content in (("README.md", b"# A model"), ("model.safetensors", WEIGHTS)):
        assert Path(hf_hub_download("acme/vae", name, revision=commit)).read_bytes() == content
    assert hub.fetched == ["README.md", "model.safetensors"]
    assert [request.origin for request in hub.requests if request.file] == ["hub", "storage"]


def test_the_metadata_of_files_is_known_before_they_are_fetched(hub: Double) -> None:
    commit = hub.put("acme/vae", {"README.md": b"# A model", "model.safetensors": WEIGHTS})
    info = HfApi().model_info("acme/vae", files_metadata=True)
    files = {file.rfilename: file for file in info.siblings or ()}
    assert info.sha == commit
    assert files["README.md"].blob_id == hashlib.sha1(b"blob 9\0# A model").hexdigest()
    assert files["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()  # type: ignore[union-attr]
    assert files["model.safetensors"].size == len(WEIGHTS)
    assert hub.fetched == []


def test_a_corrupted_file_is_accepted_by_the_client(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Corrupt(), method="GET", path=r"model\.safetensors$", times=1)
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() != WEIGHTS


def test_a_download_that_ends_early_is_resumed(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # the client forgets a chunk that is not whole
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Cut(reset=False), path=r"model\.safetensors$", times=1)
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() == WEIGHTS
    assert hub.requests[-1].headers["range"] == f"bytes={len(WEIGHTS) // 2}-"
    assert hub.requests[-1].status == 206


def test_a_download_that_is_reset_is_not_tried_again(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    fault = hub.fail(Cut(), path=r"model\.safetensors$", times=1)
    with pytest.raises(Exception, match="reset"):
        hf_hub_download("acme/vae", "model.safetensors")
    assert fault.happened == 1


def test_missing_repository(hub: Double) -> None:
    with pytest.raises(RepositoryNotFoundError, match="401"):
        HfApi().model_info("acme/vae")


def test_failing_status(hub: Double) -> None:
    hub.put("acme/vae", {"README.md": b"# A model"})
    hub.fail(Status(503), method="GET", path=r"^/api/models/", times=1)
    with pytest.raises(OSError, match="503"):
        HfApi().model_info("acme/vae")
    assert HfApi().model_info("acme/vae").id == "acme/vae"
