"""Label Studio's brush labels: a task with a prediction, to be imported as JSON and corrected there."""

from bisect import bisect_left
from typing import Any

import numpy as np

from unipan.ops.segment_runs import runs_of_each
from unipan.ops.segments import Runs
from unipan.types import PanopticMap

CHANNELS = 4
"""Red, green, blue, alpha: a mask stands in all of them."""
WORD_BITS = 8
RUN_BITS = (3, 4, 8, 16)
"""How many bits a run's length may take; each run names one of the four."""
LONGEST = [1 << bits for bits in RUN_BITS]
"""What each of them can say."""


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
            "value": {"format": "rle", "rle": brush_rle(runs, height * width), "brushlabels": [one.name]},
        }
        | ({"meta": {"is_crowd": True}} if one.is_crowd else {})
        for one, runs in zip(panoptic.segments, runs_of_each(panoptic.ids, [one.id for one in panoptic.segments]), strict=True)
    ]
    return {"data": {to_name: image}, "predictions": [{"model_version": "unipan", "result": results}]}


def brush_rle(runs: Runs, num_pixels: int) -> list[int]:
    """A segment's runs in a map of so many pixels as the bytes of Label Studio's run lengths.

    A stream of bits: the number of values (32), the bits of a value less 1 (5), those of each of four kinds of length less 1 (4);
    then for each run a 1, its kind (2), its length less 1, and its value.
    """
    ends = runs.starts + runs.lengths
    across = np.flatnonzero(runs.starts[1:] == ends[:-1])  # what goes on in the next row is one run here
    edges = np.stack([np.delete(runs.starts, across + 1), np.delete(ends, across)], axis=1).ravel()
    lengths = np.diff(edges, prepend=0, append=num_pixels) * CHANNELS  # outside and inside by turns; the first and last may be 0
    header = [(num_pixels * CHANNELS, 32), (WORD_BITS - 1, 5), *((bits - 1, 4) for bits in RUN_BITS)]
    parts = [f"{value:0{bits}b}" for value, bits in header]
    parts += [_run_bits(length, 255 * (index % 2)) for index, length in enumerate(lengths.tolist())]
    bits = np.frombuffer("".join(parts).encode(), dtype=np.uint8) - ord("0")
    return np.packbits(bits).tolist()


def _run_bits(length: int, value: int) -> str:
    """A run, as several where it is longer than the most bits can say: around a small segment most are, all alike."""
    word, most = f"{value:0{WORD_BITS}b}", LONGEST[-1]
    whole, rest = divmod(length, most)
    return f"1{_length_bits(most)}{word}" * whole + (f"1{_length_bits(rest)}{word}" if rest else "")


def _length_bits(length: int) -> str:
    kind = bisect_left(LONGEST, length)
    return f"{kind:02b}{length - 1:0{RUN_BITS[kind]}b}"
