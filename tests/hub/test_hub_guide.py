"""Every command and every block of Python in docs/how-to/hub.md runs, one after the other, against a Hub.

Those on publishing run in test_publish_guide.py, and those on signatures in test_signing.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from double import Double, env

from zoo.hub import resolve

pytest_plugins = ("double_fixture",)

GUIDE = re.sub(
    r"(?ms)^## Publish a release$.*", "", (Path(__file__).parents[2] / "docs" / "how-to" / "hub.md").read_text("utf-8")
)


@pytest.mark.slow
def test_the_guide_to_the_hub_runs(hub: Double, tmp_path: Path) -> None:
    content = {path.name: path.read_bytes() for path in resolve.find("vae.digits").iterdir()}
    content["README.md"] = b"---\nlibrary_name: genzoo\ntags: [zoo, reconstruct]\ndatasets: [digits]\n---\n"
    hub.put("acme/vae.digits", content)
    hub.tag("acme/vae.digits", "v1")
    settings = env(hub, home=tmp_path)
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    commands = [
        [sys.executable, "-m", *words]
        for language, text in blocks
        for words in ([shlex.split(line, comments=True) for line in text.splitlines()] if language == "sh" else ())
        if words and words[0] == "zoo"
    ]
    assert len(commands) >= 7
    commands += [[sys.executable, "-c", text] for language, text in blocks if language == "python"]
    for command in commands:
        done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stderr)
        if command[3:] == ["list", "--hub", "vae", "--task", "reconstruct", "--data", "digits"]:
            assert "hub:acme/vae.digits" in done.stdout
    assert (tmp_path / "samples.png").is_file()
