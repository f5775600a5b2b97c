"""What publishing a release changes in a repository: which files are added, replaced, deleted, or the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo.hub.repository import Content, Repository


@dataclass(frozen=True)
class Changes:
    """What a commit would change, by file name with the bytes of each."""

    added: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[str, int] = field(default_factory=dict)
    deleted: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.replaced or self.deleted)

    @property
    def sent(self) -> dict[str, int]:
        """The files that are sent."""
        return {**self.added, **self.replaced}


def compare(contents: Mapping[str, Content], left_over: Iterable[str], there: Repository | None) -> Changes:
    """What it takes to put contents into a repository and to take what is left over out of it."""
    blobs = there.blobs if there else {}
    sizes = {
        name: content.stat().st_size if isinstance(content, Path) else len(content)
        for name, content in contents.items()
    }
    same = {name for name, content in contents.items() if name in blobs and blobs[name].holds(content)}
    return Changes(
        added={name: size for name, size in sizes.items() if name not in blobs},
        replaced={name: size for name, size in sizes.items() if name in blobs and name not in same},
        deleted={name: blobs[name].size for name in left_over if name in blobs},
        same={name: size for name, size in sizes.items() if name in same},
    )
