"""Procedural scenes: a data set without files, with exact truth, in which boxes alone do not tell things apart."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.choices import Difficulty
from unipan.data.scenes.layout import RECIPES, SMALLEST_VISIBLE_PX, Thing, lay_things, scene_scale
from unipan.data.scenes.materials import scene_classes
from unipan.data.scenes.textures import add_light_and_noise, lay_stuff, paint_stuff, paint_things
from unipan.errors import InputError
from unipan.ops.segments import Label, panoptic_map
from unipan.types import PanopticMap, Sample, Size

GOLDEN_RATIO = 0.618034
"""Its multiples, modulo 1, fill 0..1 evenly, so that any few dozen scenes in a row have the promised shares of each kind."""

SMALLEST_SIDE = 32
"""In pixels; below, the strokes of things would be thinner than a pixel."""


class SceneDataset:
    """`length` scenes. Scene i depends on difficulty, size, seed and i alone, not on the length or on what was read before."""

    def __init__(self, *, difficulty: Difficulty, size: Size, seed: int, length: int) -> None:
        if seed < 0:
            raise InputError(f"the seed of procedural scenes is {seed}; it must be 0 or more.")
        if min(size) < SMALLEST_SIDE:
            raise InputError(
                f"procedural scenes of {size[0]}x{size[1]} came; both sides must be at least {SMALLEST_SIDE} pixels."
            )
        self.classes = scene_classes()
        self.difficulty: Difficulty = difficulty
        self.size = size
        self.seed = seed
        self.length = length
        self._first_lot = float(np.random.default_rng(seed).random())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        rng, things, owner, stuff = self._laid(index)
        canvas = paint_stuff(rng, stuff)
        paint_things(rng, canvas, things)
        image = torch.from_numpy(add_light_and_noise(rng, canvas)).permute(2, 0, 1).contiguous()
        return Sample(
            image=image,
            truth=self._truth(things, owner, stuff),
            image_id=index,
            file_name=f"scene-{self.seed}-{index:06d}.png",
        )

    def id_of(self, index: int, /) -> int:
        """Its index."""
        return range(self.length)[index]

    def truth_of(self, index: int, /) -> PanopticMap:
        """A scene's truth, before it is painted."""
        _, things, owner, stuff = self._laid(index)
        return self._truth(things, owner, stuff)

    def truth_facts(self) -> dict[str, Any]:
        """What the scenes follow from."""
        return {"difficulty": self.difficulty, "size": [*self.size], "seed": self.seed, "scenes": self.length}

    def _laid(self, index: int) -> tuple[np.random.Generator, list[Thing], NDArray[np.int32], NDArray[np.int32]]:
        """What a scene's painting goes on from, its things, and (H, W) maps: which thing lies on top, -1 for none; the stuff."""
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        rng = np.random.default_rng([self.seed, index, *self.size, list(RECIPES).index(self.difficulty)])
        lot = (self._first_lot + index * GOLDEN_RATIO) % 1
        things, owner = lay_things(rng, self.size, self.difficulty, lot=lot)
        return rng, things, owner, _without_slivers(lay_stuff(rng, self.size), owner)

    def _truth(self, things: list[Thing], owner: NDArray[np.int32], stuff: NDArray[np.int32]) -> PanopticMap:
        """Stuff has the ids 1..C of its class index, things the ids after that, from back to front."""
        first = len(self.classes) + 1
        ids = np.where(owner >= 0, owner + first, stuff + 1)
        labels = [Label(index + 1, index) for index in self.classes.stuff]
        labels += [Label(first + position, thing.class_index) for position, thing in enumerate(things)]
        return panoptic_map(torch.from_numpy(ids), labels, self.classes)


def _without_slivers(stuff: NDArray[np.int32], owner: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give stuff classes of which hardly a pixel is seen between the things to the class that is seen most."""
    height, width = stuff.shape
    seen = np.bincount(stuff[owner < 0])
    slivers = np.flatnonzero(seen < SMALLEST_VISIBLE_PX * scene_scale((height, width)) ** 2)
    return np.where(np.isin(stuff, slivers), np.int32(seen.argmax()), stuff)
