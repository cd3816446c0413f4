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
from unipan.metrics.aligned_maps import AlignedMaps
from unipan.metrics.confusion import Confusion, confuse_matched, mean_iou
from unipan.metrics.pq import PQCounts, quality, tally
from unipan.metrics.propagation_effect import PropagationEffect
from unipan.metrics.report import Report, percent, stuff_iou
from unipan.models.decode import channels_of, labels_of_channels
from unipan.models.panoptic import UnifiedHead
from unipan.models.potential import DynamicPotential
from unipan.predictor import Predictor
from unipan.types import Detections, PanopticMap, Target


@dataclass(frozen=True, kw_only=True)
class PropagationPart:
    """The same weights with and without their propagation."""

    without: Report
    """Arg max of the dynamic potential itself. Not the ablation's `none`, which is trained as such."""
    effect: PropagationEffect
    scale: float
    """Learnt factor of the propagated evidence."""
    unary_scale: float
    """Learnt factor of the potential's logarithm."""

    def table(self, answer: Report) -> Table:
        """Both answers of one checkpoint."""
        table = Table("One checkpoint, with and without its propagation", title_justify="left")
        for name in ("", "PQ", "PQ things", "PQ stuff", "IoU stuff"):
            table.add_column(name, justify="left" if not name else "right")
        for name, report in (("as trained", answer), ("propagation switched off", self.without)):
            groups = (report.quality.all, report.quality.things, report.quality.stuff)
            table.add_row(name, *(percent(group.pq) for group in groups), percent(stuff_iou(report)))
        return table

    def sentences(self, answer: Report) -> list[str]:
        """The learnt factors, what propagation does to the pixels, and which answer is ahead."""
        share = self.effect.shares()
        difference = 100 * (answer.quality.all.pq - self.without.quality.all.pq)
        ahead = "ahead" if difference > 0 else "behind" if difference < 0 else "level"
        return [
            f"Learnt factors: {self.scale:.2f} on the propagated evidence, {self.unary_scale:.2f} on the potential's logarithm.",
            f"Propagation changes {share['changed']:.2%} of the pixels: it corrects {share['corrected']:.2%} "
            f"and spoils {share['spoiled']:.2%}.",
            f"With propagation this checkpoint is {ahead} by {abs(difference):.1f} PQ of itself without.",
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "without_propagation": self.without.to_json(),
            "propagation_effect": self.effect.shares(),
            "scale": self.scale,
            "unary_scale": self.unary_scale,
        }


class PropagationScore(NamedTuple):
    """One image's part."""

    counts: PQCounts  # of the answer without propagation
    effect: PropagationEffect


class PropagationTally:
    """Scores what propagation does, image by image."""

    def __init__(self, predictor: Predictor, head: UnifiedHead, potential: DynamicPotential) -> None:
        self.predictor, self.head, self.potential = predictor, head, potential

    def score(self, admitted: Detections, maps: AlignedMaps) -> tuple[PropagationScore, Confusion]:
        """One image, and the pixels of its answer without propagation.

        admitted: boxes in the photo's pixels. maps: of the untrimmed answers' ids with and without propagation.
        """
        (answer, without), predictor = maps.values, self.predictor
        labels, num_classes = labels_of_channels(admitted, predictor.classes), len(predictor.classes)
        matching = maps.match(without, labels, predictor.classes, min_stuff_area_px=predictor.min_stuff_area_px)
        effect = propagation_effect(
            channels_of(answer, void=len(labels)),
            channels_of(without, void=len(labels)),
            admitted,
            maps,
            stuff=predictor.classes.stuff,
            void_channel=self.potential.void_channel,
        )
        return PropagationScore(tally(matching, num_classes), effect), confuse_matched(matching, num_classes)

    def part(self, title: str, scores: Sequence[PropagationScore], unpropagated: Confusion) -> PropagationPart:
        """All images, in their order. unpropagated: the pixels of all answers without propagation."""
        classes = self.predictor.classes
        counts = sum((score.counts for score in scores), PQCounts.zero(len(classes)))
        return PropagationPart(
            without=Report(
                title=f"{title}, propagation off",
                quality=quality(counts, classes),
                num_images=len(scores),
                final_answer_iou=mean_iou(unpropagated, classes),
            ),
            effect=sum((score.effect for score in scores), PropagationEffect()),
            scale=self.head.scale.item(),
            unary_scale=self.head.unary_scale.item(),
        )


def propagation_tally(predictor: Predictor) -> PropagationTally | None:
    """None where the predictor's answers come without propagation: another head."""
    head, potential = predictor.network.panoptic_head, predictor.network.potential
    if predictor.head != "unified" or not isinstance(head, UnifiedHead) or not isinstance(potential, DynamicPotential):
        return None
    return PropagationTally(predictor, head, potential)


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

    with_it, without: (r,) the channels chosen with and without it. admitted: boxes in the photo's pixels.
    """
    target = one_pixel_each(maps.truth)
    true = panoptic_truth(target, admitted.boxes.cpu(), admitted.labels.cpu(), stuff=stuff, void_channel=void_channel)
    true_channels = true.numpy()[0].take(maps.true_place)
    return PropagationEffect.of(with_it, without, true_channels, maps.lengths, ignore=IGNORE)


def one_pixel_each(truth: PanopticMap) -> Target:
    """The truth's things, and maps (1, n + 1) of what void and each of the n segments are: what is so of one pixel is of all."""
    is_thing = [segment.is_thing and not segment.is_crowd for segment in truth.segments]
    things = [segment for segment, kept in zip(truth.segments, is_thing, strict=True) if kept]
    number = count()
    return Target(
        boxes=torch.tensor([segment.box for segment in things], dtype=torch.float32).view(-1, 4),
        labels=torch.tensor([segment.class_index for segment in things], dtype=torch.int64),
        instances=torch.tensor([[-1, *(next(number) if kept else -1 for kept in is_thing)]], dtype=torch.int32),
        semantic=torch.tensor([[VOID, *(segment.class_index for segment in truth.segments)]], dtype=torch.uint8),
    )
