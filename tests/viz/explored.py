"""Small images with everything that the explorer shows, made up: no network needs to be trained."""

import torch
from PIL import Image

from unipan.choices import Propagation
from unipan.classes import ClassTable
from unipan.ops.propagation import affinity_products
from unipan.ops.segments import Label, panoptic_map
from unipan.types import Detections, PanopticMap
from unipan.viz.colors import segment_colors
from unipan.viz.explorer.content import Explored

HOSTILE = "</script><img src=x onerror=alert(1)>"
CLASSES = ClassTable.from_categories(
    [
        {"id": 1, "name": "sky", "isthing": 0, "color": [126, 178, 240]},
        {"id": 2, "name": "sand", "isthing": 0, "color": [236, 208, 140]},
        {"id": 3, "name": "tool", "isthing": 1, "color": [148, 84, 196]},
        {"id": 4, "name": HOSTILE, "isthing": 1, "color": [226, 84, 64]},
    ]
)
SKY, SAND, TOOL, NAMED = range(4)


def scene(height: int, width: int, *, shift: int = 0) -> PanopticMap:
    """Sky over sand, a tool and a thing of a hostile name upon both, and void at the right edge. shift: of the things, pixels."""
    ids = torch.ones(height, width, dtype=torch.int32)
    ids[height // 2 :] = 2
    ids[height // 4 : height // 2 + 8, width // 8 + shift : width // 4 + shift] = 3
    ids[-height // 4 :, width // 2 + shift : width // 2 + width // 8 + shift] = 4
    ids[:, -4:] = 0
    labels = [Label(1, SKY), Label(2, SAND), Label(3, TOOL, score=0.93), Label(4, NAMED, score=0.71)]
    return panoptic_map(ids, labels, CLASSES)


def all_void(height: int = 96, width: int = 128) -> PanopticMap:
    """A map without a segment."""
    return PanopticMap(torch.zeros(height, width, dtype=torch.int32), (), CLASSES)


def explored(
    *,
    height: int = 96,
    width: int = 128,
    dim: int = 12,
    form: Propagation = "pooled",
    masks: bool = True,
    name: str = HOSTILE,
    detections: int = 3,
) -> Explored:
    """An image whose cells have features of their segment and some noise."""
    generator = torch.Generator().manual_seed(0)
    answer = scene(height, width)
    cells = answer.ids[2::4, 2::4]
    channels = len(CLASSES.stuff) + 2 + 1  # both things, and void
    potential = torch.stack([(cells == channel).float() for channel in (1, 2, 3, 4, 0)]) * 0.9
    evidence = 9 * (0.7 * potential + 0.3 * torch.rand(potential.shape, generator=generator))
    centres = torch.randn(5, dim, generator=generator)
    features = centres[cells.long()] + 0.3 * torch.randn(*cells.shape, dim, generator=generator)
    boxes = [(*segment.box,) for segment in answer.segments if segment.is_thing]
    boxes = (boxes + [(4, 4, 40, 30)] * detections)[:detections]
    return Explored(
        name=name,
        image=Image.effect_noise((width, height), 60).convert("RGB"),
        facts=[("run", HOSTILE), ("head", "unified"), ("threshold", "0.5"), ("trimming", "none")],
        network_size=(height, width),
        answer=answer,
        colors=segment_colors(answer),
        semantic=torch.where(answer.ids > 0, answer.ids - 1, 0),
        detections=Detections(
            torch.tensor(boxes, dtype=torch.float32),
            torch.linspace(0.93, 0.31, detections),
            torch.tensor([TOOL, NAMED] + [TOOL] * detections)[:detections],
            torch.randn(detections, 7, 7, generator=generator) if masks else None,
        ),
        admitted=torch.tensor([0, 1]),
        parts={"potential": potential, "evidence": evidence, "unary": 0.4 * (potential + 1e-4).log()},
        bias=torch.tensor([0.0, 0.0, -0.25, -0.5, 0.0])[:channels],
        affinity=affinity_products(features.flatten(0, 1), form),
        unpropagated=scene(height, width, shift=3),
        truth=scene(height, width, shift=1),
    )
