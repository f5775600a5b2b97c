"""``zoo list --hub``: releases are found by library and tags, as their cards claim; no card spoils the list."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from double import Double, Silent, Slow, Status, env

from conftest import Command, Refused, one_error, raises
from zoo.core.errors import HubError, SettingError
from zoo.hub import client, resolve, search
from zoo.release import WEIGHTS

pytest_plugins = ("double_fixture",)


@cache
def weights() -> bytes:
    return (resolve.find("vae.digits") / WEIGHTS).read_bytes()


def card(tasks: tuple[str, ...] = ("encode", "decode"), data: str = "digits", **more: Any) -> bytes:
    """The card of a release, in the form that zoo publish writes."""
    metrics = [
        {"type": "mse", "name": "mse", "value": 0.01234567, "args": {"unit": "per pixel", "protocol": "test split"}},
        {"type": "fid", "name": "fid", "value": 12.0, "args": {"unit": "", "protocol": "test split"}},
    ]
    fields = {
        "library_name": "genzoo",
        "pipeline_tag": "unconditional-image-generation",
        "license": "mit",
        "tags": ["zoo", "onnx", "vae", *tasks, "image"],
        "datasets": [data],
        "model-index": [
            {"name": f"vae.{data}", "results": [{"dataset": {"type": data, "name": data}, "metrics": metrics}]}
        ],
        **more,
    }
    return f"---\n{yaml.safe_dump(fields)}---\n\n# A card\n".encode()


def publish(hub: Double, name: str, text: bytes | None = None, downloads: int = 0, **options: Any) -> None:
    hub.repo(name, downloads=downloads, **options)
    hub.put(name, {"README.md": card() if text is None else text})


def sources(**options: Any) -> list[str]:
    return [found.source for found in search.search(**options)]


def test_releases_are_found_by_library_and_tag_the_most_downloaded_first(hub: Double) -> None:
    publish(hub, "acme/vae.digits", downloads=5)
    publish(hub, "other/vae.digits", downloads=70)
    publish(hub, "acme/resnet", card(library_name="timm"), downloads=1000)
    publish(hub, "acme/half", card(tags=["onnx"]), downloads=1000)
    hub.put("acme/bare", {"model.bin": b"1"})
    assert sources() == ["hub:other/vae.digits", "hub:acme/vae.digits"]


def test_what_is_said_of_a_release_is_what_its_card_claims(hub: Double) -> None:
    publish(hub, "acme/vae.digits", downloads=1234)
    hub.put("acme/vae.digits", {WEIGHTS: weights()})
    (found,) = search.search()
    assert found.tasks == ("encode", "decode")
    assert found.pipeline_tag == "unconditional-image-generation"
    assert found.data == ("digits",)
    assert found.metric == search.ClaimedMetric("mse", 0.01234567, "per pixel")
    assert found.downloads == 1234
    assert found.access == "public"
    assert found.bytes is not None
    assert 0 < len(weights()) - found.bytes < 10_000  # but for the header


def test_one_request_lists_all(hub: Double) -> None:
    for number in range(12):
        publish(hub, f"acme/vae{number}")
    assert len(search.search()) == 12
    assert [(request.method, request.path) for request in hub.requests] == [("GET", "/api/models")]


def test_query_task_and_data_narrow_the_list(hub: Double) -> None:
    publish(hub, "acme/vae.digits")
    publish(hub, "acme/gpt", card(tasks=("step",), data="shakespeare"))
    publish(hub, "acme/vae.mnist", card(data="mnist"))
    assert sources(query="VAE.d") == ["hub:acme/vae.digits"]
    assert sources(task="step") == ["hub:acme/gpt"]
    assert sources(data="mnist") == ["hub:acme/vae.mnist"]
    assert sources(task="encode", data="shakespeare") == []
    assert set(sources(task="encode")) == {"hub:acme/vae.digits", "hub:acme/vae.mnist"}
    assert len(sources(task="unconditional-image-generation")) == 3  # a task by the Hub's name


@pytest.mark.parametrize("value", ["", "a,b", "data set", "dataset:x", "folder:x", "-", "é", "a\x1b[2J", "../x"])
def test_what_cannot_be_a_tag_is_refused(value: str, hub: Double) -> None:
    with raises(SettingError, "is no name of a task"):
        search.search(task=value)
    with raises(SettingError, "is no name of a data set"):
        search.search(data=value)
    assert hub.requests == []


def test_further_pages_are_followed_as_far_as_the_limit(hub: Double) -> None:
    hub.state.page_size = 3
    for number in range(10):
        publish(hub, f"acme/vae{number}", downloads=10 - number)
    assert sources(limit=5) == [f"hub:acme/vae{number}" for number in range(5)]
    assert len(hub.requests) == 2
    assert sources() == [f"hub:acme/vae{number}" for number in range(10)]


def test_a_further_page_elsewhere_is_not_asked_for(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("ana", "hf_ana_read_0123456789", role="read"))
    hub.state.page_size = 1
    publish(hub, "acme/one")
    publish(hub, "acme/two")
    hub.state.endpoint = hub.state.storage  # the next page has this address
    assert len(sources()) == 1
    assert hub.storage_requests == []


def test_private_and_gated_releases_are_marked(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(hub, "acme/gated", gated="manual", downloads=2)
    publish(hub, "acme/private", private=True, downloads=1)
    assert [(found.source, found.access) for found in search.search()] == [("hub:acme/gated", "gated")]
    monkeypatch.setenv("HF_TOKEN", hub.user("ana", "hf_ana_read_0123456789", role="read", orgs=("acme",)))
    assert [found.access for found in search.search()] == ["gated", "private"]


HOSTILE: dict[str, dict[str, Any]] = {
    "controls": {"datasets": ["\x1b[2J\x1b]0;title\x07mnist\r\n\u202eevil"], "tags": ["zoo", "\x1b[31mred", "decode"]},
    "invisible": {"datasets": ["\u200e\u061cm\u2066n\u200b\ufeff\U000e0041\u2028"], "tags": ["zoo", "\u202edecode"]},
    "long": {"datasets": ["d" * 10_000], "tags": ["zoo", "t" * 10_000]},
    "client": {"ignore_metadata_errors": True, "self": 1, "kwargs": {}},
    "no-metrics": {"model-index": [{"name": 1, "results": [None, 3, {"metrics": [None, 4, {"value": "best"}]}]}]},
    "not-finite": {
        "model-index": [{"name": "x", "results": [{"metrics": [{"value": float("nan")}, {"value": float("inf")}]}]}]
    },
    "huge": {"model-index": [{"name": "x", "results": [{"metrics": [{"value": 10**400, "args": 7}]}]}]},
    "odd-names": {
        "model-index": [
            {"name": "x", "results": [{"metrics": [{"name": "\x1b[1mbig", "value": 1, "args": {"unit": "\x07%"}}]}]}
        ]
    },
    "deep": {"model-index": [{"name": "x", "results": [{"metrics": [{"name": {"a": {"b": [1]}}, "value": 2}]}]}]},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_card_neither_draws_nor_spoils_the_list(kind: str, hub: Double, zoo_call: Command) -> None:
    publish(hub, "acme/good", downloads=1)
    publish(hub, "evil/bad", card(**HOSTILE[kind]), downloads=2)
    done = zoo_call("list", "--hub")
    assert done.returncode == 0, done.stderr
    assert not [char for char in done.stdout if not char.isprintable() and char != "\n"]
    lines = done.stdout.splitlines()
    assert lines[1].startswith("hub:evil/bad")
    assert lines[2].split()[:3] == ["hub:acme/good", "digits", "mse"]
    assert max(map(len, lines)) < 250
    evil, good = json.loads(zoo_call("list", "--hub", "--json").stdout)
    assert good["metric"] == {"name": "mse", "value": 0.01234567, "unit": "per pixel"}
    metric = evil["metric"] or {"name": "", "unit": ""}
    assert all(map(str.isprintable, [*evil["tasks"], *evil["data"], metric["name"], metric["unit"]]))
    if kind in ("no-metrics", "not-finite", "huge"):
        assert evil["metric"] is None


def test_a_repository_that_no_source_can_name_is_left_out(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(hub, "acme/good")
    listed = client.models({}, 10)
    odd: list[Any] = [None, 5, {}, {"id": None}, {"id": "legacy"}, {"id": "a/\x1b[2J"}, {"id": "../x"}, {"id": ["a/b"]}]
    monkeypatch.setattr(client, "models", lambda query, limit: [*odd, *listed])
    assert sources() == ["hub:acme/good"]


def test_zoo_list_hub_says_what_to_do_next(hub: Double, zoo_call: Command) -> None:
    publish(hub, "acme/vae.digits", downloads=1234)
    publish(hub, "acme/gated", card(tasks=("segment",), tags=["zoo"]), gated="auto")
    done = zoo_call("list", "--hub")
    head, first, second, blank, *rest = done.stdout.splitlines()
    assert head.split() == ["SOURCE", "DATA", "METRIC", "SIZE", "DOWNLOADS", "TASKS"]
    assert first.split() == ["hub:acme/vae.digits", "digits", "mse", "0.01235", "-", "1,234", "encode", "decode"]
    assert second.split()[:2] == ["hub:acme/gated", "(gated)"]
    assert second.endswith("unconditional-image-generation")
    assert blank == ""
    text = "\n".join(rest)
    assert "Not reviewed" in text
    assert "runs without its plugin, in every command that takes a SOURCE:  zoo generate hub:ORG/NAME" in text
    assert "zoo info hub:ORG/NAME" in text
    assert "--limit" not in text
    assert "the first 1: see --limit" in zoo_call("list", "--hub", "--limit", "1").stdout
    assert "hub:acme/gated" not in zoo_call("list", "--hub", "vae*").stdout
    (found,) = json.loads(zoo_call("list", "vae", "--hub", "--json").stdout)
    assert found["source"] == "hub:acme/vae.digits"
    assert found["tasks"] == ["encode", "decode"]


def test_nothing_found(hub: Double, zoo_call: Command, refused: Refused) -> None:
    publish(hub, "acme/vae.digits")
    refused("list", "--hub", "gan", says=(f"No release on {hub.endpoint} matches 'gan'.", "zoo list --hub"))
    refused("list", "--hub", "vae", "--data", "mnist", says=("matches 'vae' and the filters.",))
    assert zoo_call("list", "--hub", "gan", "--json").stdout == "[]\n"
    hub.remove("acme/vae.digits")
    refused("list", "--hub", says=(f"No release on {hub.endpoint}",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--limit", "3"], "--limit goes with --hub"),
        (["--hub", "--all"], "--all goes without --hub"),
        (["--hub", "--limit", "0"], "'--limit': 0 is not in the range"),
        (["--hub", "--limit", "9999"], "'--limit': 9999 is not in the range"),
        (["--hub", "--data", "folder:x"], "'folder:x' is no name of a data set"),
    ],
)
def test_options_that_do_not_fit(options: list[str], says: str, hub: Double, refused: Refused) -> None:
    refused("list", *options, says=(says,))
    assert hub.requests == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Status(503), "answers 503"),
        (Status(429, retry_after=7), "limits how often it is asked. Try again in 7 s"),
        (Status(401), "asks for a token"),
        pytest.param(Silent(), "does not answer in time", marks=pytest.mark.slow),
        pytest.param(Slow(1), "does not answer in time", marks=pytest.mark.slow),
    ],
)
def test_a_hub_that_is_down(fault: Any, says: str, hub: Double, refused: Refused) -> None:
    publish(hub, "acme/vae.digits")
    hub.fail(fault)
    began = time.monotonic()
    refused("list", "--hub", says=(hub.endpoint, says))
    assert time.monotonic() - began < 10
    assert len(hub.requests) == 1


def test_a_hub_that_is_not_there(hub: Double, refused: Refused) -> None:
    hub.close()
    refused("list", "--hub", says=(f"{hub.endpoint} cannot be reached",))


def test_what_answers_is_no_hub(hub: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/nothing-there")
    with raises(HubError, "answers 404"):
        search.search()


def test_a_wrong_token_is_named_and_not_shown(hub: Double, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_0123456789")
    line = refused("list", "--hub", says=("refuses the token in HF_TOKEN: it is wrong, or has expired",))
    assert "0123456789" not in line


def test_offline_nothing_is_asked(hub: Double, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused("list", "--hub", says=("Searching the Hub needs the network", "HF_HUB_OFFLINE"))
    assert hub.requests == []


def test_zoo_list_without_hub_asks_nobody_and_imports_no_client(hub: Double, tmp_path: Path) -> None:
    code = """
import sys, zoo.cli
sys.argv = ["zoo", "list"]
try: zoo.cli.main()
except SystemExit as done: assert not done.code
print([name for name in ("huggingface_hub", "yaml", "zoo.hub.client", "zoo.release") if name in sys.modules])
"""
    environment = env(hub, home=tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert hub.requests == []


def test_the_installed_command_prints_a_table(hub: Double, zoo_command: Command, tmp_path: Path) -> None:
    publish(hub, "acme/vae.digits")
    done = zoo_command("list", "--hub", env=env(hub, home=tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "hub:acme/vae.digits" in done.stdout
    hub.close()
    one_error(zoo_command("list", "--hub", env=env(hub, home=tmp_path)), "cannot be reached")
