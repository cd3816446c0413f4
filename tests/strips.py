"""Maps of one row, written as text, and their three classes."""

import torch

from unipan.classes import ClassTable
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap

CLASSES = ClassTable.from_categories(
    [
        {"id": 1, "name": "road", "isthing": 0, "color": [128, 64, 128]},
        {"id": 2, "name": "car", "isthing": 1, "color": [226, 84, 64]},
        {"id": 3, "name": "bus", "isthing": 1, "color": [148, 84, 196]},
    ]
)
ROAD, CAR, BUS = range(3)


def strip(text: str, **class_of: int) -> PanopticMap:
    """A row of pixels, one a letter, which is its segment: a has the id 1, b 2, and so on; a dot is void."""
    ids = torch.tensor([[0 if letter == "." else ord(letter) - ord("a") + 1 for letter in text]], dtype=torch.int32)
    return panoptic_map(ids, [Label(ord(name) - ord("a") + 1, index) for name, index in class_of.items()], CLASSES)
