"""shakespeare: about a million characters of Shakespeare's plays, in one file."""

from __future__ import annotations

from pathlib import Path

import zoo
from zoo.data import characters
from zoo.data.download import obtain

FILE = zoo.KnownFile(
    name="input.txt",
    folders=("shakespeare", "tinyshakespeare", ""),
    addresses=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    size=1_115_394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
VOCABULARY = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def load(split: str, folder: Path, options: zoo.TextOptions) -> zoo.Loaded:
    """Load one split of the text."""
    (file,) = shakespeare.files[split]
    return characters.of_content(obtain(file, folder), "shakespeare", split, options.length)


shakespeare = zoo.DataSet(
    card=zoo.DataCard(
        title="Plays, 65 different characters",
        source=f"Tiny Shakespeare; A. Karpathy, char-rnn, 2015, {FILE.addresses[0]}",
        licence="public domain",
        citation="Karpathy 2015, https://github.com/karpathy/char-rnn",
        split="the first 90% of the characters to train on, the last 10% to test",
    ),
    options=zoo.TextOptions,
    sample=lambda options: zoo.Sample(zoo.Text(VOCABULARY, options.length)),
    load=load,
    files={"train": (FILE,), "test": (FILE,)},
    train=1_003_854,
    test=111_540,
)
