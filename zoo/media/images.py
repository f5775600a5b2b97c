"""Images from files and from Pillow, as models take them: upright, on a background, of one size, in 8 bits.

Nothing is imported before it is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from zoo.contract.data import ImageOptions
from zoo.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif"),
)
"""Of the files that are read as images; AVIF where Pillow was built with it."""

CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
"""The numbers of channels that are read from image files, with Pillow's name of each."""

_ORIENTATION, _WIDTH, _HEIGHT, _PHOTOMETRIC = 274, 256, 257, 262  # EXIF and TIFF tags
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height


AS_THEY_ARE = ImageOptions()


def formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names."""
    from PIL import features

    names = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000")
    return (*names, "AVIF") if "avif" in features.modules and features.check("avif") else names


def size_of(image: Image.Image) -> tuple[int, int]:
    """The width and the height of an image as viewers show it. Reads its header only."""
    if _orientation(image) not in _SIDEWAYS:
        return image.size
    width, height = image.size
    if hasattr(image, "tag_v2"):  # a TIFF file, whose size some versions of Pillow exchange by themselves
        width, height = int(image.tag_v2[_WIDTH]), int(image.tag_v2[_HEIGHT])
    return height, width


def is_transparent(image: Image.Image) -> bool:
    """Whether an image has an alpha channel, or a colour that stands for nothing."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def is_grey(image: Image.Image, options: ImageOptions = AS_THEY_ARE) -> bool:
    """Whether an image has no colour: by its mode or its palette; its pixels are not read."""
    if is_transparent(image) and not options.is_grey:
        return False
    if image.mode in ("P", "PA"):
        import numpy as np

        palette = np.array(image.getpalette()).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def pixels(image: Image.Image, channels: int, name: str, options: ImageOptions = AS_THEY_ARE) -> Pixels:
    """A Pillow image of any mode as uint8, (h, w) for 1 channel, (h, w, 3) for 3, or (h, w, 4) with alpha for 4.

    A file that Pillow opened is turned as its EXIF orientation says, as every viewer shows it. What is transparent is
    laid on the background, except with 4 channels. 16 bits become 8 by their upper half (v // 256), floats from 0 to 1
    become round(255 v), and an animation gives the frame that it is at. With a size, it is resampled by Pillow's
    Lanczos filter, which is antialiased.
    Raises :class:`DataError`, which calls the image `name`, for 32-bit values out of these ranges.
    """
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageOps

    turned = _orientation(image) != 1
    if turned and image.format == "TIFF":
        image.filename = ""  # type: ignore[attr-defined]  # Pillow 13 maps plain files into memory, and turns none
    image.load()
    image = ImageOps.exif_transpose(image) if turned else image
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image, name)
    if is_transparent(image):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
    if is_transparent(image) and channels != 4:
        ground = Pillow.new("RGBA", image.size, (*options.colour, 255))
        image = Pillow.alpha_composite(ground, image).convert("RGB")
    image = image.convert(CHANNELS[channels])
    if not options.size:
        return np.asarray(image)
    return np.asarray(_resized(image, (options.size, options.size), options.fit, options))


def fitted(image: Pixels, size: tuple[int, int], fit: Literal["crop", "pad"], options: ImageOptions) -> Pixels:
    """An image, uint8 (h, w) or (h, w, 3), cut or padded and resized to a width and a height."""
    import numpy as np
    from PIL import Image as Pillow

    return np.asarray(_resized(Pillow.fromarray(image), size, fit, options))


def _resized(
    image: Image.Image, size: tuple[int, int], fit: Literal["crop", "pad"], options: ImageOptions
) -> Image.Image:
    """An image in L or RGB, cut or padded to a width and a height."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    if image.size == size:
        return image
    method = Pillow.Resampling.LANCZOS
    if fit == "crop":
        return ImageOps.fit(image, size, method)
    ground = Pillow.new("RGB", (1, 1), options.colour).convert(image.mode).getpixel((0, 0))
    return ImageOps.pad(image, size, method, color=ground)  # type: ignore[arg-type]


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """An image of 16 or 32 bits a pixel as L, or as LA where one of its values stands for nothing."""
    import numpy as np
    from PIL import Image as Pillow

    values = np.asarray(image)
    if image.mode == "F":
        if not (values.min() >= 0 and values.max() <= 1):
            raise DataError(
                f"{name!r} has floats from {values.min():g} to {values.max():g}, and black is 0 and white is 1. "
                "Scale them, or save it with 8 or 16 bits."
            )
        return Pillow.fromarray(np.rint(values * 255).astype(np.uint8))
    if values.min() < 0 or values.max() > 65535:
        raise DataError(
            f"{name!r} has values from {values.min()} to {values.max()}, and 16 bits reach from 0 to 65535. "
            "Scale them, or save it with 8 or 16 bits."
        )
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # 0 is white; Pillow inverts 8 bits, and not 16
        values = 65535 - values
    grey = Pillow.fromarray((values >> 8).astype(np.uint8))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    return Pillow.merge("LA", (grey, Pillow.fromarray(np.where(values == key, 0, 255).astype(np.uint8))))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a file that Pillow opened, from 1 (upright) to 8; what was made of one is as it is.

    In a PNG it is looked for before the pixels, where it belongs: Pillow would decode all of them to look behind.
    """
    from PIL import ImageFile

    if not isinstance(image, ImageFile.ImageFile):
        return 1
    if image.format == "PNG" and not any(key in image.info for key in ("exif", "Raw profile type exif")):
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata, which viewers ignore
        return 1
    return found if found in range(1, 9) else 1


def shown(name: str | os.PathLike[str]) -> str:
    """A file's name as text for people and JSON: bytes that are not UTF-8 as in ``p\\xe9.png``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
