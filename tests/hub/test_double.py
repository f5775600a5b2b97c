"""The local double of the Hub: what the real client reads from it and writes to it, and what a test sees of that."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from double import Before, Corrupt, Cut, Double, Huge, Silent, Slow, Status, env
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

pytest_plugins = ("double_fixture",)

WEIGHTS = bytes(range(256)) * 40
CARD = b"""---
license: mit
library_name: genzoo
pipeline_tag: image-to-image
tags: [vae]
datasets: [mnist]
---
# A VAE
"""


@pytest.fixture
def ana(hub: Double, monkeypatch: pytest.MonkeyPatch) -> HfApi:
    """The client of a user who may write to acme."""
    monkeypatch.setenv("HF_TOKEN", hub.user("ana", token="hf_ana_write", orgs=("acme",)))
    return HfApi()


def commit(api: HfApi, files: dict[str, bytes | None], **more: Any) -> str:
    operations = [
        CommitOperationDelete(path) if content is None else CommitOperationAdd(path, content)
        for path, content in files.items()
    ]
    return api.create_commit("acme/vae", operations, commit_message="A change", **more).oid


def test_a_repository_is_made_written_and_removed(hub: Double, ana: HfApi) -> None:
    ana.create_repo("acme/vae", private=True)
    first = commit(ana, {"README.md": CARD, "model.safetensors": WEIGHTS, "old.txt": b"old"})
    second = commit(ana, {"README.md": CARD + b"More.\n", "old.txt": None})
    assert hub.private("acme/vae")
    assert [entry.id for entry in hub.commits("acme/vae")][:2] == [second, first]
    assert hub.files("acme/vae").keys() == {".gitattributes", "README.md", "model.safetensors"}
    assert hub.files("acme/vae", first)["old.txt"] == b"old"
    assert hub.files("acme/vae")["model.safetensors"] == WEIGHTS
    ana.delete_repo("acme/vae")
    assert not hub.exists("acme/vae")


def test_large_files_go_to_the_storage_without_a_token(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    commit(ana, {"model.safetensors": WEIGHTS, "config.json": b"{}"})
    assert [(request.method, request.status) for request in hub.storage_requests] == [("PUT", 200)]
    assert {request.token for request in hub.storage_requests} == {None}
    assert {request.token for request in hub.requests if request.origin == "hub"} == {"hf_ana_write"}
    assert hub.objects("acme/vae") == {hashlib.sha256(WEIGHTS).hexdigest(): len(WEIGHTS)}


def test_a_large_file_is_sent_once_though_its_commit_failed(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    hub.fail(Status(500), method="POST", path="/commit/", times=1)
    with pytest.raises(HfHubHTTPError, match="500"):
        commit(ana, {"model.safetensors": WEIGHTS})
    assert hub.files("acme/vae").keys() == {".gitattributes"}
    commit(ana, {"model.safetensors": WEIGHTS})
    assert hub.files("acme/vae")["model.safetensors"] == WEIGHTS
    assert [request.method for request in hub.storage_requests] == ["PUT"]


def test_nothing_that_changes_makes_no_commit(hub: Double) -> None:
    head = hub.put("acme/vae", {"x.txt": b"x"})
    assert hub.put("acme/vae", {"x.txt": b"x"}) == head
    assert hub.put("acme/vae", {"x.txt": None}) != head
    assert len(hub.commits("acme/vae")) == 3


def test_a_token_that_reaches_the_storage_is_seen_and_refused(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    place = get_hf_file_metadata(hf_hub_url("acme/vae", "model.safetensors")).location
    leaking = urllib.request.Request(place, headers={"Authorization": "Bearer hf_ana_write"})
    with pytest.raises(OSError, match="400"):
        urllib.request.urlopen(leaking)
    assert [request.token for request in hub.storage_requests] == ["hf_ana_write"]


def test_what_writes_is_told_apart(hub: Double, ana: HfApi) -> None:
    hub.put("acme/vae", {"README.md": CARD})
    ana.whoami()
    ana.model_info("acme/vae")
    ana.get_paths_info("acme/vae", ["README.md"])
    commit(ana, {"README.md": CARD})  # validated and compared, but the same
    assert hub.writes == []
    commit(ana, {"README.md": CARD + b"More.\n"})
    assert [str(request) for request in hub.writes] == ["POST /api/models/acme/vae/commit/main -> 200"]


def test_the_metadata_of_files_is_known_before_they_are_fetched(hub: Double) -> None:
    head = hub.put("acme/vae", {"README.md": CARD, "model.safetensors": WEIGHTS})
    info = HfApi().model_info("acme/vae", files_metadata=True)
    files = {file.rfilename: file for file in info.siblings or ()}
    assert info.sha == head
    assert files["README.md"].blob_id == hashlib.sha1(b"blob %d\0" % len(CARD) + CARD).hexdigest()
    assert files["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert files["model.safetensors"].size == len(WEIGHTS)
    assert hub.fetched == []


def test_the_card_describes_the_model_in_listings(hub: Double) -> None:
    hub.put("acme/vae", {"README.md": CARD})
    hub.put("bob/vae-2", {"README.md": CARD})
    hub.put("acme/other", {"README.md": b"# No metadata"})
    hub.state.page_size = 1  # so that the client follows links
    api = HfApi()
    (found,) = api.list_models(filter="genzoo", author="acme", full=True, cardData=True)
    assert (found.id, found.library_name, found.pipeline_tag) == ("acme/vae", "genzoo", "image-to-image")
    assert {"genzoo", "vae", "license:mit", "dataset:mnist"} <= {*(found.tags or ())}
    assert found.card_data is not None
    assert found.card_data.license == "mit"
    assert {model.id for model in api.list_models(filter=["genzoo", "vae"])} == {"acme/vae", "bob/vae-2"}
    assert [model.id for model in api.list_models(search="OTHER")] == ["acme/other"]
    assert len([*api.list_models(limit=2)]) == 2
    (found,) = api.list_models(search="acme/vae", expand=["sha", "cardData"])
    assert found.sha == hub.head("acme/vae")
    assert found.tags is None


def test_listings_are_sorted_and_show_private_models_to_their_owners(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/few", downloads=1, private=True)
    hub.repo("acme/many", downloads=9)
    assert [model.id for model in ana.list_models(sort="downloads")] == ["acme/many", "acme/few"]
    assert [model.id for model in HfApi(token=False).list_models()] == ["acme/many"]


def test_trees_references_and_commits_are_listed(hub: Double, ana: HfApi) -> None:
    hub.put("acme/vae", {"README.md": CARD, "a/b/x.txt": b"x", "a/model.onnx": WEIGHTS})
    hub.state.page_size = 2
    assert [entry.path for entry in ana.list_repo_tree("acme/vae")] == [".gitattributes", "README.md", "a"]
    assert [entry.path for entry in ana.list_repo_tree("acme/vae", "a", recursive=True, expand=True)] == [
        "a/b",
        "a/b/x.txt",
        "a/model.onnx",
    ]
    (info,) = ana.get_paths_info("acme/vae", ["a/model.onnx", "missing"])
    assert info.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    ana.create_tag("acme/vae", tag="v1")
    ana.create_branch("acme/vae", branch="next")
    hub.put("acme/vae", {"more.txt": b""}, message="More")
    found = ana.list_repo_refs("acme/vae")
    assert {ref.name: ref.target_commit for ref in found.tags} == hub.tags("acme/vae")
    assert {ref.name for ref in found.branches} == {"main", "next"}
    assert ana.list_repo_commits("acme/vae")[0].title == "More"
    assert len(ana.list_repo_commits("acme/vae", revision="v1")) == 2
    ana.delete_tag("acme/vae", tag="v1")
    ana.delete_branch("acme/vae", branch="next")
    assert hub.tags("acme/vae") == {}


def test_a_pull_request_leaves_main_as_it_was(hub: Double) -> None:
    head = hub.put("acme/vae", {"README.md": CARD})
    bob = HfApi(token=hub.user("bob", token="hf_bob_write"))
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(bob, {"model.safetensors": WEIGHTS})
    operations = [CommitOperationAdd("model.safetensors", WEIGHTS)]
    made = bob.create_commit("acme/vae", operations, commit_message="Better", create_pr=True)
    assert (made.pr_revision, made.pr_num) == ("refs/pr/1", 1)
    assert hub.head("acme/vae") == head
    assert hub.files("acme/vae", "refs/pr/1")["model.safetensors"] == WEIGHTS
    assert bob.model_info("acme/vae", revision="refs/pr/1").sha == hub.pulls("acme/vae")["refs/pr/1"] == made.oid


def test_a_pull_request_needs_a_token_that_writes(hub: Double) -> None:
    hub.put("acme/vae", {"README.md": CARD})
    reader = HfApi(token=hub.user("bob", token="hf_bob_read", role="read"))
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(reader, {"x.txt": b"x"}, create_pr=True)
    assert hub.pulls("acme/vae") == {}


def test_a_tag_that_moved_leaves_the_old_commit_there(hub: Double) -> None:
    old = hub.put("acme/vae", {"x.txt": b"old"})
    hub.tag("acme/vae", "v1")
    new = hub.put("acme/vae", {"x.txt": b"new"})
    assert get_hf_file_metadata(hf_hub_url("acme/vae", "x.txt", revision="v1")).commit_hash == old
    hub.tag("acme/vae", "v1", new)
    assert get_hf_file_metadata(hf_hub_url("acme/vae", "x.txt", revision="v1")).commit_hash == new
    assert hub.files("acme/vae", old)["x.txt"] == b"old"


def test_what_is_missing_is_told_apart(hub: Double) -> None:
    hub.put("acme/vae", {"x.txt": b"x"})
    with pytest.raises(EntryNotFoundError):
        get_hf_file_metadata(hf_hub_url("acme/vae", "y.txt"))
    with pytest.raises(RevisionNotFoundError):
        get_hf_file_metadata(hf_hub_url("acme/vae", "x.txt", revision="v9"))
    with pytest.raises(RepositoryNotFoundError):
        get_hf_file_metadata(hf_hub_url("acme/gan", "x.txt"))
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        commit(HfApi(token=hub.user("ana", token="hf_ana", orgs=("acme",))), {"y.txt": None})


def test_a_renamed_repository_is_found_under_its_old_name(hub: Double, ana: HfApi) -> None:
    hub.put("acme/vae", {"x.txt": b"x", "model.safetensors": WEIGHTS})
    hub.rename("acme/vae", "acme/better")
    assert ana.model_info("acme/vae").id == "acme/better"
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() == WEIGHTS
    commit(ana, {"x.txt": b"new"})
    assert hub.files("acme/better")["x.txt"] == b"new"
    assert 307 in {request.status for request in hub.requests}
    ana.move_repo("acme/better", "acme/best")
    assert ana.model_info("acme/vae").id == "acme/best"


def test_settings_of_a_repository(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    ana.update_repo_settings("acme/vae", private=True, gated="manual")
    assert hub.private("acme/vae")
    assert ana.model_info("acme/vae").gated == "manual"


def test_a_fine_grained_token_allows_what_it_names(hub: Double) -> None:
    hub.repo("acme/vae")
    scopes = {"acme/vae": ["repo.content.read", "repo.write"]}
    token = hub.user("ana", token="hf_fine", role="fine-grained", orgs=("acme",), scopes=scopes)
    api = HfApi(token=token)
    access = api.whoami()["auth"]["accessToken"]
    assert access["role"] == "fineGrained"
    assert access["fineGrained"]["scoped"][0]["permissions"] == scopes["acme/vae"]
    commit(api, {"x.txt": b"x"})
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("acme/other")


def test_collections_take_each_model_once(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    made = ana.create_collection("Models of Acme", namespace="acme", exists_ok=True)
    assert ana.create_collection("Models of Acme", namespace="acme", exists_ok=True).slug == made.slug
    for _ in range(2):
        ana.add_collection_item(made.slug, "acme/vae", "model", note="A VAE", exists_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        ana.add_collection_item(made.slug, "acme/vae", "model")
    assert [(item.item_id, item.note) for item in ana.get_collection(made.slug).items] == [("acme/vae", "A VAE")]
    assert [found.slug for found in ana.list_collections(owner="acme")] == [made.slug]


def test_parts_of_a_file_are_sent(hub: Double) -> None:
    hub.put("acme/vae", {"x.txt": b"0123456789"})
    address = hf_hub_url("acme/vae", "x.txt")
    for asked, expected in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89")):
        with urllib.request.urlopen(urllib.request.Request(address, headers={"Range": asked})) as answer:
            assert (answer.status, answer.read()) == (206, expected)
    with pytest.raises(OSError, match="416"):
        urllib.request.urlopen(urllib.request.Request(address, headers={"Range": "bytes=10-"}))


def test_a_huge_file_is_listed_without_being_held(hub: Double) -> None:
    hub.put("acme/vae", {"stray.bin": Huge(2**40)})
    (info,) = HfApi().get_paths_info("acme/vae", ["stray.bin"])
    assert info.size == 2**40
    assert hub.fetched == []


def test_faults_happen_as_often_as_asked(hub: Double) -> None:
    hub.put("acme/vae", {"x.txt": b"x"})
    once = hub.fail(Status(503), method="GET", path="^/api/models/acme/vae$", times=1)
    always = hub.fail(Status(500), path="/api/whoami")
    with pytest.raises(HfHubHTTPError, match="503"):
        HfApi().model_info("acme/vae")
    HfApi().model_info("acme/vae")
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="500"):
            HfApi().whoami(token="hf_any")
    assert (once.happened, always.happened) == (1, 2)


def test_a_fault_of_content_spares_heads_and_redirects(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Corrupt(), path=r"model\.safetensors$", times=1)
    address = hf_hub_url("acme/vae", "model.safetensors")
    contents = []
    for _ in range(2):
        get_hf_file_metadata(address)
        with urllib.request.urlopen(address) as answer:  # follows the redirect
            contents.append(answer.read())
    assert len(contents[0]) == len(WEIGHTS)
    assert contents[0] != contents[1] == WEIGHTS


def test_slow_content_comes_whole_but_not_before_its_time(hub: Double) -> None:
    hub.put("acme/vae", {"model.safetensors": WEIGHTS})
    hub.fail(Slow(rate=len(WEIGHTS) * 5))
    began = time.monotonic()
    assert Path(hf_hub_download("acme/vae", "model.safetensors")).read_bytes() == WEIGHTS
    assert time.monotonic() - began > 0.15


def test_closing_ends_those_who_wait_for_a_silent_hub() -> None:
    errors: list[BaseException] = []

    def wait(address: str) -> None:
        try:
            urllib.request.urlopen(address)
        except OSError as error:
            errors.append(error)

    with Double() as hub:
        hub.fail(Silent())
        waiting = threading.Thread(target=wait, args=(f"{hub.endpoint}/api/models",))
        waiting.start()
        while not hub.requests:
            time.sleep(0.01)
        assert waiting.is_alive()
    waiting.join(10)
    assert len(errors) == 1


def test_another_commit_comes_in_just_before(hub: Double, ana: HfApi) -> None:
    head = hub.put("acme/vae", {"x.txt": b"old"})
    hub.fail(Before(lambda: hub.put("acme/vae", {"y.txt": b"other"})), method="POST", path="/commit/", times=1)
    with pytest.raises(HfHubHTTPError, match="412"):
        commit(ana, {"x.txt": b"new"}, parent_commit=head)
    assert hub.files("acme/vae")["x.txt"] == b"old"
    assert hub.files("acme/vae")["y.txt"] == b"other"


def test_a_commit_that_is_cut_is_not_made(hub: Double, ana: HfApi) -> None:
    head = hub.put("acme/vae", {"x.txt": b"old"})
    hub.fail(Cut(), method="POST", path="/commit/")
    with pytest.raises(Exception, match=r"reset|disconnected|Broken pipe"):
        commit(ana, {"x.txt": os.urandom(2**20)})
    assert hub.head("acme/vae") == head


def test_a_client_that_is_gone_in_the_middle_changes_nothing(hub: Double, capsys: pytest.CaptureFixture[str]) -> None:
    head = hub.put("acme/vae", {"x.txt": b"old"})
    hub.user("ana", token="hf_ana", orgs=("acme",))
    address = ("127.0.0.1", int(hub.endpoint.rpartition(":")[2]))
    line = b'{"key": "header", "value": {"summary": "A change"}}\n'
    with socket.create_connection(address) as connection:
        connection.sendall(
            b"POST /api/models/acme/vae/commit/main HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer hf_ana\r\n"
            b"Content-Length: 1000\r\n\r\n" + line
        )
    while not hub.requests:
        time.sleep(0.01)
    hub.close()
    (request,) = hub.requests
    assert (request.status, hub.head("acme/vae")) == (None, head)
    assert capsys.readouterr().err == ""


def test_a_commit_is_made_whole_or_not_at_all(hub: Double, ana: HfApi) -> None:
    head = hub.put("acme/vae", {"x.txt": b"old"})
    with pytest.raises(EntryNotFoundError):
        commit(ana, {"x.txt": b"new", "missing.txt": None})
    assert hub.head("acme/vae") == head
    assert hub.files("acme/vae")["x.txt"] == b"old"


def test_a_process_of_its_own_uses_the_double(tmp_path: Path) -> None:
    script = (
        "from huggingface_hub import HfApi, constants, hf_hub_download\n"
        "print(HfApi().whoami()['name'], hf_hub_download('acme/vae', 'model.safetensors'))"
    )
    with Double() as hub:
        hub.user("ana", token="hf_ana")
        hub.put("acme/vae", {"model.safetensors": WEIGHTS})
        environment = env(hub, token="hf_ana", home=tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        name, path = done.stdout.split()
        assert (name, Path(path).read_bytes()) == ("ana", WEIGHTS)
        assert tmp_path in Path(path).parents
        assert hub.fetched == ["model.safetensors"]


def test_this_process_uses_the_double_and_no_token_of_its_own(hub: Double, tmp_path: Path) -> None:
    assert constants.ENDPOINT == HfApi().endpoint == hub.endpoint
    assert constants.HF_HUB_CACHE.startswith(str(tmp_path))
    assert not any(name.startswith("HF_TOKEN") for name in os.environ)
