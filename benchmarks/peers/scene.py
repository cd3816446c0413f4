"""The one image, with its truth, that all networks are timed on: a crowded procedural scene under Cityscapes' class counts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.targets import make_target
from unipan.types import Size, Target

STUFF, THINGS = 11, 8
"""Classes, as Cityscapes has them."""
LARGEST_THINGS = 12
"""Things of the image that are kept, the largest; the others become void."""


@dataclass(frozen=True)
class Scene:
    """An image and what a training is told of it."""

    image: Tensor
    """(3, H, W) float in 0..1."""
    target: Target
    """Labels and semantic map count stuff classes first, then things."""
    masks: Tensor
    """(G, H, W) bool, of the true things."""

    def to(self, device: torch.device) -> "Scene":
        """The same scene on a device; networks are built where their scene is."""
        return Scene(self.image.to(device), self.target.to(device), self.masks.to(device))

    @property
    def size(self) -> Size:
        return self.image.shape[-2], self.image.shape[-1]


def draw_scene(size: Size) -> Scene:
    """The same scene of a size for every network."""
    dataset = SceneDataset(difficulty="crowded", size=size, seed=0, length=1)
    sample = dataset[0]
    areas = sorted((segment.area for segment in sample.truth.segments if segment.is_thing), reverse=True)
    target = make_target(sample.truth, min_thing_px=areas[min(LARGEST_THINGS, len(areas)) - 1])
    num_stuff = len(dataset.classes.stuff)
    shift = torch.arange(VOID + 1)
    shift[num_stuff : len(dataset.classes)] += STUFF - num_stuff  # their things come after our eleven stuff classes
    semantic = shift[target.semantic.long()].to(torch.int16)
    shifted = Target(boxes=target.boxes, labels=shift[target.labels], instances=target.instances, semantic=semantic)
    masks = target.instances == torch.arange(len(target.labels))[:, None, None]
    return Scene(sample.image.float() / 255, shifted, masks)


def descending(optimizer: torch.optim.Optimizer, loss_of: Callable[[], Tensor]) -> Callable[[], float]:
    """A training step as every network takes it: forward pass and loss, backward pass, descent."""

    def step() -> float:
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def class_table() -> ClassTable:
    """Nineteen classes without meaning."""
    return ClassTable(
        tuple(
            ClassInfo(
                name=f"class {index}",
                is_thing=index >= STUFF,
                dataset_id=index + 1,
                color=(index, index, index),
                supercategory="",
            )
            for index in range(STUFF + THINGS)
        )
    )
