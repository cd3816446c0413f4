"""What an evaluation takes from one image. H x W pixels, C classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from unipan.classes import VOID, ClassTable
from unipan.metrics.average_precision import ImageInstances, average_precision, instances_of, is_available
from unipan.metrics.confusion import Confusion, confuse, confuse_maps
from unipan.metrics.matching import match_maps
from unipan.metrics.pq import PQCounts, tally
from unipan.metrics.sizes import SizeCounts, tally_by_size
from unipan.models.decode import best_channel, in_photo
from unipan.ops.segments import index_of_ids
from unipan.predictor import Predictor, original_size
from unipan.recipes.evaluation import Precision
from unipan.recipes.propagation import PropagationScore, PropagationTally
from unipan.types import PanopticMap, Sample


class ImageScore(NamedTuple):
    """What must be added in the images' order, as fractions round, or be kept for each image. Processes send it to each other."""

    counts: PQCounts
    by_size: SizeCounts
    instances: ImageInstances | None  # None without the library for AP
    propagation: PropagationScore | None
    mask_free: bool


@dataclass(frozen=True)
class PixelCounts:
    """Whole numbers, which add up in any order."""

    semantic_head: Confusion
    final_answer: Confusion
    unpropagated: Confusion
    """Of the answers without propagation; nothing where there are none."""

    def __add__(self, other: "PixelCounts") -> "PixelCounts":
        return PixelCounts(
            self.semantic_head + other.semantic_head,
            self.final_answer + other.final_answer,
            self.unpropagated + other.unpropagated,
        )

    @staticmethod
    def zero(num_classes: int) -> "PixelCounts":
        """The counts of no image at all."""
        return PixelCounts(*[Confusion.zero(num_classes)] * 3)


def score_image(predictor: Predictor, sample: Sample, effect: PropagationTally | None) -> tuple[ImageScore, PixelCounts]:
    """Predict one image and compare it with its truth."""
    num_classes, size, truth = len(predictor.classes), original_size(sample.image), sample.truth
    network_size = predictor.network_size(size)
    outputs = predictor.outputs(sample.image)
    answer = predictor.answer(outputs, size)
    found = in_photo(outputs.detections[0], network_size, size)
    unpropagated = predictor.unpropagated(outputs, size) if effect else None
    matching = match_maps(answer, truth)
    score = ImageScore(
        counts=tally(matching, num_classes),
        by_size=tally_by_size(matching, num_classes),
        instances=instances_of(found, truth) if is_available() else None,
        propagation=effect.score(outputs, sample, unpropagated) if effect and unpropagated else None,
        mask_free=found.mask_logits is None,
    )
    semantic = best_channel(outputs.semantic[0], network_size, size).cpu()
    return score, PixelCounts(
        confuse(semantic, class_map(truth), num_classes),
        confuse_maps(answer, truth, num_classes),
        confuse_maps(unpropagated, truth, num_classes) if unpropagated else Confusion.zero(num_classes),
    )


def precision_of(scores: Sequence[ImageScore], classes: ClassTable) -> Precision | None:
    """AP of all images; None without the library."""
    if not is_available():
        return None
    images = [score.instances for score in scores if score.instances]
    masks = not any(score.mask_free for score in scores)
    return Precision(
        box=average_precision(images, classes, "box"), mask=average_precision(images, classes, "mask") if masks else None
    )


def class_map(panoptic: PanopticMap) -> Tensor:
    """(H, W) class indices, VOID where unlabelled; crowds have their class, as in the semantic loss."""
    segments = panoptic.segments
    table = torch.tensor([segment.class_index for segment in segments] + [VOID])
    return table[index_of_ids(panoptic.ids, [segment.id for segment in segments])]
