"""Label Studio's brush labels: a task with a prediction, to be imported as JSON and corrected there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unipan.types import PanopticMap

CHANNELS = 4
"""Red, green, blue, alpha: a mask stands in all of them."""
WORD_BITS = 8
RUN_BITS = (3, 4, 8, 16)
"""How many bits a run's length may take; each run names one of the four."""


def to_label_studio(panoptic: PanopticMap, image: str, *, from_name: str = "tag", to_name: str = "image") -> dict[str, Any]:
    """A task. image: where Label Studio finds the image, as its storage or upload names it.

    from_name, to_name: the names of the BrushLabels and of the Image in the project's labelling configuration.
    """
    height, width = panoptic.ids.shape
    results = [
        {
            "id": str(one.id),
            "type": "brushlabels",
            "from_name": from_name,
            "to_name": to_name,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": one.score,
            "value": {"format": "rle", "rle": brush_rle(panoptic.mask(one).numpy()), "brushlabels": [one.name]},
        }
        for one in panoptic.segments
    ]
    return {"data": {to_name: image}, "predictions": [{"model_version": "unipan", "result": results}]}


def brush_rle(mask: NDArray[np.bool_]) -> list[int]:
    """A mask (H, W) as the bytes of Label Studio's run lengths.

    A stream of bits: the number of values (32), the bits of a value less 1 (5), those of each of four kinds of length less 1 (4);
    then for each run a 1, its kind (2), its length less 1, and its value.
    """
    flat = mask.ravel()
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])) if flat.size else np.zeros(0, dtype=np.int64)
    lengths = np.diff(starts, append=flat.size) * CHANNELS
    header = [(flat.size * CHANNELS, 32), (WORD_BITS - 1, 5), *((bits - 1, 4) for bits in RUN_BITS)]
    parts = [f"{value:0{bits}b}" for value, bits in header]
    for length, value in zip(lengths.tolist(), flat[starts].tolist(), strict=True):
        word = f"{255 * value:0{WORD_BITS}b}"
        parts += [f"1{_length_bits(part)}{word}" for part in _pieces(length)]
    bits = np.frombuffer("".join(parts).encode(), dtype=np.uint8) - ord("0")
    return np.packbits(bits).tolist()


def _pieces(length: int) -> list[int]:
    """A run as runs of which none is longer than the most bits can say."""
    most = 1 << RUN_BITS[-1]
    return [most] * (length // most) + ([length % most] if length % most else [])


def _length_bits(length: int) -> str:
    kind, bits = next((kind, bits) for kind, bits in enumerate(RUN_BITS) if length <= 1 << bits)
    return f"{kind:02b}{length - 1:0{bits}b}"
