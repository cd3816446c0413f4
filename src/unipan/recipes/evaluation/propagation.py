"""What propagation adds to the answer of one checkpoint; part of an evaluation of the unified head."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unipan.classes import VOID
from unipan.console import Table
from unipan.losses.panoptic import panoptic_truth
from unipan.losses.pixels import IGNORE
from unipan.metrics.affinity import AffinityCounts
from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.propagation_effect import PropagationEffect
from unipan.metrics.report import Report, percent, stuff_iou, without_nan
from unipan.metrics.score import Score
from unipan.metrics.segment_matching import Matching
from unipan.models.decode import channels_of, labels_of_channels
from unipan.models.panoptic_head import UnifiedHead
from unipan.models.potential import DynamicPotential
from unipan.predictor import Predictor
from unipan.types import Detections, PanopticMap, Target


@dataclass(frozen=True, kw_only=True)
class PropagationPart:
    """The same weights with and without their propagation."""

    without: Report
    """Arg max of the dynamic potential itself. Not the ablation's `none`, which is trained as such."""
    effect: PropagationEffect
    affinity: AffinityCounts
    scale: float
    """Learnt factor of the propagated evidence."""
    unary_scale: float
    """Learnt factor of the potential's logarithm."""

    def table(self, answer: Report) -> Table:
        """Both answers of one checkpoint."""
        table = Table("One checkpoint, with and without its propagation", "", "PQ", "PQ things", "PQ stuff", "IoU stuff")
        for name, report in (("as trained", answer), ("propagation switched off", self.without)):
            groups = (report.quality.all, report.quality.things, report.quality.stuff)
            table.add_row(name, *(percent(group.pq) for group in groups), percent(stuff_iou(report)))
        return table

    def sentences(self, answer: Report) -> list[str]:
        """The learnt factors, what propagation does to the pixels, and which answer is ahead."""
        share, instances = self.effect.shares(), self.affinity.shares()
        difference = 100 * (answer.quality.all.pq - self.without.quality.all.pq)
        ahead = (
            f"{abs(difference):.1f} PQ {'ahead of' if difference > 0 else 'behind'}" if abs(difference) >= 0.05 else "level with"
        )
        return [
            f"Learnt factors: {self.scale:z.2f} on the propagated evidence, "
            f"{self.unary_scale:z.2f} on the potential's logarithm.",
            f"Propagation changes {100 * share['changed']:.2f} % of the pixels: it corrects {100 * share['corrected']:.2f} % "
            f"and spoils {100 * share['spoiled']:.2f} %.",
            f"With propagation this checkpoint is {ahead} itself without.",
            f"Among things of one class the affinity tells {percent(instances['told_apart'])} % of their cells apart "
            f"({percent(instances['told_apart_by_chance'])} % by chance), {percent(instances['pixels_told_apart'])} % of their "
            f"pixels; {percent(instances['affinity_on_own'])} % of a cell's positive affinity falls on its own thing, which has "
            f"{percent(instances['area_of_own'])} % of the cells.",
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "without_propagation": self.without.to_json(),
            "propagation_effect": self.effect.shares(),
            "affinity": without_nan(self.affinity.shares()),
            "scale": self.scale,
            "unary_scale": self.unary_scale,
        }


class Propagation(NamedTuple):
    """What an answer with propagation is read by, so that it can be judged against the one without."""

    predictor: Predictor
    head: UnifiedHead
    potential: DynamicPotential

    def judge(self, admitted: Detections, maps: AlignedMaps) -> tuple[Matching, PropagationEffect]:
        """Of one image, its answer without propagation matched with the truth, and what propagation does to it.

        admitted: boxes in the image's pixels. maps: of the untrimmed answers' ids with and without propagation.
        """
        (answer, without), classes = maps.values, self.predictor.classes
        labels = labels_of_channels(admitted, classes)
        matching = maps.match(without, labels, classes, min_stuff_area_px=self.predictor.min_stuff_area_px)
        with_it, off = (channels_of(ids, void=len(labels)) for ids in (answer, without))
        void_channel = self.potential.void_channel
        effect = propagation_effect(with_it, off, admitted, maps, stuff=classes.stuff, void_channel=void_channel)
        return matching, effect

    def part(self, title: str, unpropagated: Score, effect: PropagationEffect, affinity: AffinityCounts) -> PropagationPart:
        """Of all images."""
        return PropagationPart(
            without=unpropagated.report(f"{title}, propagation off", self.predictor.classes),
            effect=effect,
            affinity=affinity,
            scale=self.head.scale.item(),
            unary_scale=self.head.unary_scale.item(),
        )


def propagation_of(predictor: Predictor) -> Propagation | None:
    """None where the predictor's answers come without propagation: another head."""
    head, potential = predictor.network.panoptic_head, predictor.network.potential
    if predictor.head != "unified" or not isinstance(head, UnifiedHead) or not isinstance(potential, DynamicPotential):
        return None
    return Propagation(predictor, head, potential)


def propagation_effect(
    with_it: NDArray[np.integer],
    without: NDArray[np.integer],
    admitted: Detections,
    maps: AlignedMaps,
    *,
    stuff: Sequence[int],
    void_channel: bool,
) -> PropagationEffect:
    """Propagation's effect on the channels of one image, where detections and truth are matched as in training.

    with_it, without: (r,) the channels chosen with and without it. admitted: boxes in the image's pixels.
    """
    target = one_pixel_each(maps.truth)
    true = panoptic_truth(target, admitted.boxes.cpu(), admitted.labels.cpu(), stuff=stuff, void_channel=void_channel)
    true_channels = true.numpy()[0].take(maps.true_index)
    return PropagationEffect.of(with_it, without, true_channels, maps.lengths, ignore=IGNORE)


def one_pixel_each(truth: PanopticMap) -> Target:
    """The truth's target with maps (1, n + 1) of void and of each of the n segments: what is so of one pixel is of all."""
    is_thing = [segment.is_instance for segment in truth.segments]
    things = [segment for segment, wanted in zip(truth.segments, is_thing, strict=True) if wanted]
    index = count()
    return Target(
        boxes=torch.tensor([thing.box for thing in things], dtype=torch.float32).view(-1, 4),
        labels=torch.tensor([thing.class_index for thing in things], dtype=torch.int64),
        instances=torch.tensor([[-1, *(next(index) if wanted else -1 for wanted in is_thing)]], dtype=torch.int32),
        semantic=torch.tensor([[VOID, *(segment.class_index for segment in truth.segments)]], dtype=torch.int16),
    )
