"""What the real client does when it writes, as FINDINGS says: each statement that shows over HTTP."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from double import Cut, Double, LostAnswer, Status
from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
)

pytest_plugins = ("double_fixture",)
pytestmark = pytest.mark.usefixtures("default_client")

httpx: Any = importlib.import_module("httpx2" if huggingface_hub.__version__.startswith("2.") else "httpx")
WEIGHTS = bytes(range(256)) * 40
LARGE = r"model\.safetensors$"


@pytest.fixture
def ana(hub: Double) -> HfApi:
    return HfApi(token=hub.user("ana", token="hf_ana_write", orgs=("acme",)))


def commit(api: HfApi, content: bytes, path: str = "x.txt", **more: Any) -> str:
    return api.create_commit("acme/vae", [CommitOperationAdd(path, content)], commit_message="A change", **more).oid


def test_the_same_content_makes_no_commit(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    first, large = commit(ana, b"1"), commit(ana, WEIGHTS, "model.safetensors")
    assert commit(ana, b"1") == commit(ana, WEIGHTS, "model.safetensors") == large != first
    assert hub.head("acme/vae") == large


def test_a_parent_that_is_no_longer_the_head_is_412(hub: Double, ana: HfApi) -> None:
    old = hub.put("acme/vae", {"x.txt": b"1"})
    new = hub.put("acme/vae", {"y.txt": b"1"})
    with pytest.raises(HfHubHTTPError, match="412"):
        commit(ana, b"2", parent_commit=old)
    assert hub.head("acme/vae") == new


def test_a_parent_that_is_no_longer_the_head_goes_unnoticed_where_nothing_changes(hub: Double, ana: HfApi) -> None:
    old = hub.put("acme/vae", {"x.txt": b"1"})
    new = hub.put("acme/vae", {"y.txt": b"1"})
    assert commit(ana, b"1", parent_commit=old) == new


def test_a_lost_answer_is_an_error_though_the_commit_is_there(hub: Double, ana: HfApi) -> None:
    old = hub.put("acme/vae", {"x.txt": b"1"})
    fault = hub.fail(LostAnswer(), path="/commit/")
    with pytest.raises(httpx.RemoteProtocolError):
        commit(ana, b"2")
    assert fault.happened == 1
    assert hub.head("acme/vae") != old
    assert hub.files("acme/vae")["x.txt"] == b"2"
    assert hub.requests[-1].status is None


def test_too_many_requests_on_a_commit_is_not_tried_again(hub: Double, ana: HfApi, waits: list[float]) -> None:
    hub.repo("acme/vae")
    fault = hub.fail(Status(429, retry_after=1), path="/commit/")
    with pytest.raises(HfHubHTTPError, match="429"):
        commit(ana, b"2")
    assert (fault.happened, waits) == (1, [])


def test_an_upload_that_is_cut_is_a_bare_runtime_error_after_retries(
    hub: Double, ana: HfApi, waits: list[float]
) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1"})
    fault = hub.fail(Cut(), method="PUT")
    with pytest.raises(RuntimeError, match=r"Error while uploading 'model\.safetensors'"):
        commit(ana, os.urandom(2**20), "model.safetensors")
    assert fault.happened == 6
    assert sum(waits) == 23
    assert hub.head("acme/vae") == head
    assert hub.objects("acme/vae") == {}


def test_a_tag_that_exists_stays_where_it_is(hub: Double, ana: HfApi) -> None:
    old = hub.put("acme/vae", {"x.txt": b"1"})
    for _ in range(2):
        ana.create_tag("acme/vae", tag="v1", exist_ok=True)
        hub.put("acme/vae", {"x.txt": b"2"})
    assert hub.tags("acme/vae") == {"v1": old}
    with pytest.raises(HfHubHTTPError, match="409"):
        ana.create_tag("acme/vae", tag="v1")


def test_a_card_that_is_not_valid_is_refused_before_the_upload(hub: Double, ana: HfApi) -> None:
    head = hub.put("acme/vae", {"x.txt": b"1"})
    for text, reason in (("license: MIT", '"license" must be one of'), ("a: [", "YAML Metadata Error")):
        with pytest.raises(ValueError, match=reason):
            commit(ana, f"---\n{text}\n---\n".encode(), "README.md")
    assert hub.writes == []
    assert hub.head("acme/vae") == head


def test_making_a_repository_in_another_namespace_or_with_a_read_token_is_403(hub: Double, ana: HfApi) -> None:
    reader = HfApi(token=hub.user("ana", token="hf_ana_read", role="read", orgs=("acme",)))
    for api, name in ((ana, "other/vae"), (reader, "acme/vae"), (reader, "ana/vae")):
        with pytest.raises(HfHubHTTPError, match="403"):
            api.create_repo(name)
    hub.repo("acme/vae")
    with pytest.raises(HfHubHTTPError, match="403"):
        commit(reader, b"1")


def test_private_is_not_applied_to_a_repository_that_is_public(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    assert ana.create_repo("acme/vae", private=True, exist_ok=True).repo_id == "acme/vae"
    assert not hub.private("acme/vae")
    with pytest.raises(HfHubHTTPError, match="409"):
        ana.create_repo("acme/vae")


def test_no_token_is_an_error_of_its_own(hub: Double) -> None:
    with pytest.raises(LocalTokenNotFoundError):
        HfApi().whoami()
    with pytest.raises(LocalTokenNotFoundError):
        HfApi().model_info("acme/vae", token=True)
    assert hub.requests == []


def test_a_token_that_is_none_is_no_missing_repository(hub: Double) -> None:
    hub.repo("acme/vae")
    bad = HfApi(token="hf_bad")
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        bad.whoami()
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as caught:
        bad.model_info("acme/vae")
    assert not isinstance(caught.value, RepositoryNotFoundError)


def test_a_token_says_what_it_may_do(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae")
    hub.repo("other/vae")
    reader = HfApi(token=hub.user("bob", token="hf_bob_read", role="read"))
    assert ana.whoami()["auth"]["accessToken"]["role"] == "write"
    assert [org["name"] for org in ana.whoami()["orgs"]] == ["acme"]
    assert reader.whoami()["auth"]["accessToken"]["role"] == "read"
    ana.auth_check("acme/vae", write=True)
    reader.auth_check("acme/vae")
    for api, name in ((ana, "other/vae"), (reader, "acme/vae")):
        with pytest.raises(HfHubHTTPError, match="403"):
            api.auth_check(name, write=True)
    assert hub.writes == []


def test_missing_and_private_look_the_same(hub: Double, ana: HfApi) -> None:
    hub.repo("other/private", private=True)
    for api, status in ((HfApi(), "401"), (ana, "404")):
        texts = set()
        for name in ("other/private", "other/missing"):
            with pytest.raises(RepositoryNotFoundError, match=status) as caught:
                api.model_info(name)
            texts.add(str(caught.value).replace(name, ""))
        assert len(texts) == 1


def test_gated_is_a_kind_of_not_found(hub: Double, ana: HfApi) -> None:
    hub.repo("other/vae", gated="manual")
    hub.put("other/vae", {"x.txt": b"1"})
    assert issubclass(GatedRepoError, RepositoryNotFoundError)
    for token, status in ((False, "401"), ("hf_ana_write", "403")):
        with pytest.raises(GatedRepoError, match=status):
            hf_hub_download("other/vae", "x.txt", token=token)
        assert HfApi(token=token).model_info("other/vae").gated == "manual"
    with pytest.raises(GatedRepoError):
        ana.auth_check("other/vae")
    hub.grant("other/vae", "ana")
    ana.auth_check("other/vae")
    assert Path(hf_hub_download("other/vae", "x.txt", token="hf_ana_write")).read_bytes() == b"1"


def test_a_private_file_in_the_cache_is_for_everybody(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae", private=True)
    head = hub.put("acme/vae", {"x.txt": b"secret"})
    hf_hub_download("acme/vae", "x.txt", revision=head, token="hf_ana_write")
    assert Path(hf_hub_download("acme/vae", "x.txt", revision=head, token=False)).read_bytes() == b"secret"


def test_the_storage_never_sees_a_token(hub: Double, ana: HfApi) -> None:
    hub.repo("acme/vae", private=True)
    commit(ana, WEIGHTS, "model.safetensors")
    hf_hub_download("acme/vae", "model.safetensors", token="hf_ana_write")
    snapshot_download("acme/vae", token="hf_ana_write", force_download=True)
    assert [request.method for request in hub.storage_requests] == ["PUT", "GET", "GET"]
    assert {request.token for request in hub.storage_requests} == {None}
