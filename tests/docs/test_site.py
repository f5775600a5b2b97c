"""The documentation site: it builds strictly, executed pages run, links lead somewhere, and search works offline."""

from __future__ import annotations

import html.parser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import browsers

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
pytest_plugins = ("site_fixture",)


class Page(html.parser.HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for name, value in attrs if name in ("id", "name") and value}
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag in ("img", "script", "iframe", "audio", "source", "link"):
            address = found.get("src") or (found.get("href") if found.get("rel") != "canonical" else None)
            if address:
                self.loads.append(address)


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) >= 50
    for path, page in pages.items():
        for address in page.loads:
            assert not urlsplit(address).netloc, (path.name, address)
        for address in (*page.links, *page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or address.startswith("#q="):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path.relative_to(site), address)
            if parts.fragment and target in pages and "gallery" not in target.parts:
                assert unquote(parts.fragment) in pages[target].anchors | {"__skip"}, (path.relative_to(site), address)


def test_the_first_page_displays_images_audio_and_text(site: Path) -> None:
    shown = (site / "index.html").read_text("utf-8")
    assert "<audio" in shown
    assert 'src="index-0.png"' in shown
    assert "ROMEO:" in shown


def test_equations_need_no_script(site: Path) -> None:
    text = (site / "models" / "variational-autoencoders.html").read_text("utf-8")
    assert text.count('<math xmlns="http://www.w3.org/1998/Math/MathML"') > 20
    assert "$$" not in text


@browsers.browser
def test_the_site_is_read_and_searched_from_the_disk_on_a_phone_and_a_desktop(site: Path) -> None:
    words = "exact resume"
    seen: dict[str, Any] = browsers.javascript("site.mjs", browsers.CHROMIUM, site, words)
    assert seen["found"][0].startswith("Exact resume")
    assert seen["opened"].startswith("Exact resume")
    assert seen["pages"] >= 45
    assert (seen["wide"], seen["broken"], seen["said"], seen["requested"]) == ([], [], [], [])
