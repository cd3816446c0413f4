"""One answer from the answers of overlapping tiles, in passes that are linear in the pixels. H x W pixels of the image.

A tile's segment and one of the answer so far are one where the tile overlaps what was there. Stuff is joined by its class. Things
of one class are joined where they cover the same pixels of an overlap: by an IoU in it of over one half, as panoptic quality
matches. Where they share fewer, the tile's own affinity is asked (`Claims`). What one tile told apart stays apart, whatever
another thinks: at the edge of a tile two things are easily taken for one, seldom one for two.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.classes import VOID_ID, ClassTable
from unipan.ops.segments import Label, index_of_ids, is_small_stuff, panoptic_map, runs_of
from unipan.ops.tiles import Window
from unipan.types import PanopticMap, Size

SAME_IOU = 0.5
"""IoU in the overlap above which two things of a class are one. At most one partner of a thing has it."""
SAME_SHARE = 0.5
"""Probability above which the affinity joins things of a lower IoU; a region gives it to one segment at most."""

Ids = NDArray[np.int32]
Claims = Callable[[Ids, int], NDArray[np.floating]]
"""Regions of a tile, (h, w) in 0..R, R for none, and R -> (R, K): how probable each is a part of the tile's segment k + 1."""


class Pair(NamedTuple):
    """A thing of the answer so far and one of a tile, of one class, with pixels in common. They sort by how alike they are."""

    likeness: float  # IoU in the overlap, or what the affinity says of it
    root: int
    part: int


class Mosaic:
    """Takes tiles in the order of `windows`, and holds nothing of them but the map and a label for each thing.

    A *part* is a thing of one tile, or all stuff of a class, by its value in the map; parts that were joined have one root.
    """

    def __init__(self, size: Size, classes: ClassTable) -> None:
        self.classes = classes
        self._map: Ids = np.zeros(size, dtype=np.int32)
        self._labels = [Label(VOID_ID, -1), *(Label(number + 1, index) for number, index in enumerate(classes.stuff))]
        self._part_of_stuff = {label.class_index: label.id for label in self._labels[1:]}
        self._parents = list(range(len(self._labels)))
        self._tiles: list[set[int]] = [set() for _ in self._labels]  # of a root: of which tiles its parts are
        self._count = 0

    def add(self, window: Window, answer: PanopticMap, claims: Claims | None = None) -> None:
        """Lay a tile's answer down from the middle of its overlaps on. claims: without it IoU alone joins things."""
        rows, columns = window
        so_far = self._map[rows.start : rows.end, columns.start : columns.end]
        table = self._new_parts(answer)
        own = table[answer.ids.numpy()]
        above, before = np.s_[: rows.shared], np.s_[:, : columns.shared]
        common = [self._common(so_far[overlap], own[overlap]) for overlap in (above, before)]
        pairs = [pair for pixels in common for pair in self._pairs(pixels)]
        self._join(pair for pair in pairs if pair.likeness > SAME_IOU)
        if claims and (doubtful := [pair for pair in pairs if pair.likeness <= SAME_IOU and self._may_join(pair)]):
            parts = sorted({part for pixels in common for part, _ in pixels})
            segment_of = {int(part): segment for segment, part in enumerate(table)}
            self._join(self._claimed(doubtful, so_far, parts, segment_of, claims))
        self._map[rows.own : rows.end, columns.own : columns.end] = own[rows.own - rows.start :, columns.own - columns.start :]
        self._count += 1

    def answer(self, *, min_stuff_area_px: int) -> PanopticMap:
        """The whole image's, with ids 1, 2, ...: stuff by its class, then things in the order in which they came.

        Stuff segments with fewer pixels become void. A thing has the score of its best part.
        """
        runs = runs_of(torch.from_numpy(self._map))
        roots = np.array([self._root(part) for part in range(len(self._labels))])
        areas = np.bincount(roots[runs.ids], runs.lengths, minlength=len(roots))
        ids, labels = np.full(len(roots), VOID_ID, dtype=np.int32), []
        for part, root in enumerate(roots.tolist()):
            label, known = self._labels[part], ids[root] - 1
            if part == VOID_ID or not areas[root] or self._is_small(label, int(areas[root]), min_stuff_area_px):
                continue
            if known < 0:
                ids[root] = len(labels) + 1
                labels.append(label._replace(id=len(labels) + 1))
            else:
                labels[known] = labels[known]._replace(score=max(labels[known].score, label.score))
        return panoptic_map(torch.from_numpy(ids[roots][self._map]), labels, self.classes)

    def _is_small(self, label: Label, area: int, min_area_px: int) -> bool:
        return is_small_stuff(area, is_thing=self._is_thing(label.id), min_area_px=min_area_px)

    def _is_thing(self, part: int) -> bool:
        return part > len(self._part_of_stuff)

    def _new_parts(self, answer: PanopticMap) -> Ids:
        """The part for each of a tile's ids, from 0; its things are new ones."""
        table = np.zeros(max((segment.id for segment in answer.segments), default=0) + 1, dtype=np.int32)
        for segment in answer.segments:
            if not segment.is_thing:
                table[segment.id] = self._part_of_stuff[segment.class_index]
                continue
            table[segment.id] = part = len(self._labels)
            self._labels.append(Label(part, segment.class_index, score=segment.score))
            self._parents.append(part)
            self._tiles.append({self._count})
        return table

    def _common(self, so_far: Ids, own: Ids) -> Mapping[tuple[int, int], int]:
        """How many pixels of an overlap are of a part so far and of one of the tile's."""
        joint = so_far.astype(np.int64) * len(self._labels) + own
        runs = runs_of(torch.from_numpy(joint))
        values, which = np.unique(runs.ids, return_inverse=True)
        pixels = np.bincount(which, runs.lengths, minlength=len(values)).astype(np.int64)
        return {divmod(value, len(self._labels)): count for value, count in zip(values.tolist(), pixels.tolist(), strict=True)}

    def _pairs(self, common: Mapping[tuple[int, int], int]) -> Iterator[Pair]:
        """Which things of one class share pixels, with their IoU in the overlap."""
        roots, parts, both = Counter(), Counter(), Counter()
        for (so_far, part), pixels in common.items():
            root = self._root(so_far)
            roots[root] += pixels
            parts[part] += pixels
            if self._is_thing(root) and self._labels[root].class_index == self._labels[part].class_index:
                both[root, part] += pixels
        for (root, part), pixels in both.items():
            yield Pair(pixels / (roots[root] + parts[part] - pixels), root, part)

    def _claimed(
        self, pairs: list[Pair], so_far: Ids, parts: list[int], segment_of: Mapping[int, int], claims: Claims
    ) -> Iterator[Pair]:
        """The pairs whose things the affinity takes for one. parts: those in the overlaps."""
        regions = {root: number for number, root in enumerate(dict.fromkeys(self._root(pair.root) for pair in pairs))}
        known = [part for part in parts if self._root(part) in regions]
        region_of = np.array([*(regions[self._root(part)] for part in known), len(regions)], dtype=np.int32)
        shares = claims(region_of[index_of_ids(torch.from_numpy(so_far), known).numpy()], len(regions))
        for _, root, part in pairs:
            share = float(shares[regions[self._root(root)], segment_of[part] - 1])
            if share > SAME_SHARE:
                yield Pair(share, root, part)

    def _may_join(self, pair: Pair) -> bool:
        """Whether no tile tells apart what the two consist of."""
        return self._tiles[self._root(pair.root)].isdisjoint(self._tiles[self._root(pair.part)])

    def _join(self, pairs: Iterable[Pair]) -> None:
        """The most alike first, each if it still may."""
        for pair in sorted(pairs, reverse=True):
            if self._may_join(pair):
                root, other = self._root(pair.root), self._root(pair.part)
                if len(self._tiles[root]) < len(self._tiles[other]):
                    root, other = other, root
                self._parents[other] = root
                self._tiles[root] |= self._tiles[other]

    def _root(self, part: int) -> int:
        while (parent := self._parents[part]) != part:
            self._parents[part] = part = self._parents[parent]  # halves the way for the next time
        return part
