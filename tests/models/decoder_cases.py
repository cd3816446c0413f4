"""Random images as the baselines' decoders see them, for hypothesis."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from unipan.types import Detections

HEIGHT, WIDTH, POINTS = 6, 7, 3
TABLES = ("sBgC", "BC", "sg", "Bs", "B")
"""Upper-case letters are things."""


def random_case(letters: str, number: int, masks: bool, seed: int) -> tuple[Tensor, Detections]:
    """Semantic logits (C, H, W) and detections, in float64 so that two ways to one number do not differ at a threshold.

    Scores repeat and lie on both sides of 0.5; boxes lie anywhere, on fractions of a pixel, and overlap much.
    """
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    things = [index for index, letter in enumerate(letters) if letter.isupper()]
    number = number if things else 0
    corners = random(number, 2) * torch.tensor([WIDTH, HEIGHT]) * 0.7
    sides = 0.3 + random(number, 2) * torch.tensor([WIDTH, HEIGHT]) * 0.6
    boxes = torch.cat([corners, corners + sides], 1)
    scores = (random(number) * 10).round() / 10
    labels = torch.tensor(things + [0])[(random(number) * len(things)).long()]
    mask_logits = 3 * (random(number, POINTS, POINTS) - 0.4) if masks else None
    return 3 * (random(len(letters), HEIGHT, WIDTH) - 0.5), Detections(boxes, scores, labels, mask_logits)


cases = st.tuples(st.sampled_from(TABLES), st.integers(0, 6), st.booleans(), st.integers(0, 10**6))
