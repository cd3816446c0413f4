"""`unipan evaluate`: the score of a run on held-out images, and what propagation adds to it."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from unipan.checkpoint import open_run, write_json
from unipan.classes import VOID
from unipan.config import Config
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.data.targets import make_target
from unipan.data.transforms import resize_sides
from unipan.errors import InputError
from unipan.losses.panoptic import panoptic_truth
from unipan.losses.pixels import IGNORE
from unipan.metrics.confusion import Confusion, confuse, mean_iou
from unipan.metrics.pq import PQCounts, count, quality
from unipan.metrics.propagation import PropagationEffect, propagation_effect
from unipan.metrics.report import Report, percent
from unipan.models.decode import best_channel
from unipan.ops.segments import index_of_ids
from unipan.predictor import Predictor, load, original_size
from unipan.recipes.console import counted
from unipan.types import Outputs, PanopticMap, Sample


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a run is worth."""

    answer: Report
    """Of the answers; its IoU is the semantic head's."""
    without_propagation: Report
    """The same weights, arg max of the dynamic potential itself. Not the ablation's `none`, which is trained as such."""
    effect: PropagationEffect
    scale: float
    """Learnt factor of the propagated evidence."""
    residual_scale: float
    """Learnt factor of the potential."""

    def table(self) -> Table:
        """Propagation's part: both answers of one checkpoint, and what changes between them."""
        table = Table(title="One checkpoint, with and without its propagation", title_justify="left")
        for name in ("", "PQ", "PQ things", "PQ stuff"):
            table.add_column(name, justify="left" if not name else "right")
        for name, report in (("as trained", self.answer), ("propagation switched off", self.without_propagation)):
            groups = (report.quality.all, report.quality.things, report.quality.stuff)
            table.add_row(name, *(percent(group.pq) for group in groups))
        return table

    def sentences(self) -> list[str]:
        """The learnt factors, what propagation does to the pixels, and which answer is ahead."""
        share = self.effect.shares()
        difference = 100 * (self.answer.quality.all.pq - self.without_propagation.quality.all.pq)
        ahead = "ahead" if difference > 0 else "behind" if difference < 0 else "level"
        return [
            f"Learnt factors: {self.scale:.2f} on the propagated evidence, {self.residual_scale:.2f} on the potential itself.",
            f"Propagation changes {share['changed']:.2%} of the pixels: it corrects {share['corrected']:.2%} "
            f"and spoils {share['spoiled']:.2%}.",
            f"With propagation this checkpoint is {ahead} by {abs(difference):.1f} PQ of itself without.",
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "answer": self.answer.to_json(),
            "without_propagation": self.without_propagation.to_json(),
            "propagation_effect": self.effect.shares(),
            "scale": self.scale,
            "residual_scale": self.residual_scale,
        }


def evaluate(run: str, *, root: str | None = None, trim: bool = True) -> Evaluation:
    """Score a run on its held-out images and write RUN/metrics.json.

    root: the data set's folder where it is no longer the one trained on. trim: turn small stuff segments into void, by the
    run's own limit.
    """
    folder, config, classes = open_run(run)
    dataset = validation_dataset(config.data if root is None else replace(config.data, root=root))
    if dataset.classes != classes:
        raise InputError(
            f"{run} was trained on other classes than this data set has ({len(classes)} against {len(dataset.classes)}, or "
            "other names, kinds or order); evaluate it on data with its own class table."
        )
    predictor = load(run)
    if not trim:
        predictor.min_stuff_area_px = 0
    evaluation = evaluate_predictor(predictor, dataset, name(config, trim=trim))
    write_json(folder.metrics, evaluation.to_json())
    return evaluation


def name(config: Config, *, trim: bool) -> str:
    """What the tables call the evaluation."""
    where = f"{config.data.difficulty} scenes" if config.data.source == "scenes" else config.data.val_split
    limit = config.inference.min_stuff_area_px
    return f"{where}, stuff under {limit} px trimmed" if trim and limit else where


def evaluate_predictor(predictor: Predictor, dataset: PanopticDataset, title: str) -> Evaluation:
    """Score a predictor on every image of a data set, one at a time."""
    num_classes = len(predictor.classes)
    answer = off = PQCounts.zero(num_classes)
    confusion, effect = Confusion.zero(num_classes), PropagationEffect()
    for index in counted(range(len(dataset)), "evaluating", len(dataset)):
        sample = dataset[index]
        size = original_size(sample.image)
        outputs = predictor.outputs(sample.image)
        answer += count(predictor.answer(outputs, size), sample.truth, num_classes)
        off += count(predictor.answer(outputs, size, logits=outputs.potentials[0]), sample.truth, num_classes)
        semantic = best_channel(outputs.semantic[0], predictor.network_size(size), size).cpu()
        confusion += confuse(semantic, class_map(sample.truth), num_classes)
        effect += effect_on(predictor, outputs, sample)
    head = predictor.network.panoptic_head
    return Evaluation(
        answer=Report(
            title=title,
            quality=quality(answer, predictor.classes),
            num_images=len(dataset),
            iou=mean_iou(confusion, predictor.classes),
        ),
        without_propagation=Report(
            title=f"{title}, propagation off", quality=quality(off, predictor.classes), num_images=len(dataset)
        ),
        effect=effect,
        scale=head.scale.item(),
        residual_scale=head.residual_scale.item(),
    )


def class_map(panoptic: PanopticMap) -> Tensor:
    """(H, W) class indices, VOID where unlabelled; crowds have their class, as in the semantic loss."""
    segments = panoptic.segments
    table = torch.tensor([segment.class_index for segment in segments] + [VOID])
    return table[index_of_ids(panoptic.ids, [segment.id for segment in segments])]


def effect_on(predictor: Predictor, outputs: Outputs, sample: Sample) -> PropagationEffect:
    """Propagation's effect on one image, at the network's resolution, where detections and truth are matched as in training."""
    _, ids = resize_sides(sample.image, sample.truth.ids, short_side=predictor.short_side, long_side=predictor.long_side)
    target = make_target(PanopticMap(ids, sample.truth.segments), min_thing_px=1)
    admitted = predictor.admitted(outputs)
    true = panoptic_truth(
        target,
        admitted.boxes.cpu(),
        admitted.labels.cpu(),
        stuff=predictor.classes.stuff,
        void_channel=predictor.network.void_channel,
    )
    size = (ids.shape[0], ids.shape[1])
    with_it = best_channel(outputs.panoptic[0], size, size).cpu()
    without = best_channel(outputs.potentials[0], size, size).cpu()
    return propagation_effect(with_it, without, true, ignore=IGNORE)
