"""`unipan evaluate`: the score of a run on held-out images, by any of the ways to the answer, and what propagation adds to it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from unipan.checkpoint import RunFolder, open_run, write_json
from unipan.classes import VOID
from unipan.config import Config, Device, PanopticHead
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.errors import InputError
from unipan.metrics.confusion import Confusion, confuse, mean_iou
from unipan.metrics.pq import PQCounts, count, quality
from unipan.metrics.report import Report
from unipan.models import heuristic, upsnet
from unipan.models.decode import best_channel
from unipan.ops.segments import index_of_ids
from unipan.predictor import Predictor, load, original_size
from unipan.recipes.console import counted
from unipan.recipes.propagation import PropagationPart, propagation_tally
from unipan.types import PanopticMap

MASK_FREE: dict[PanopticHead, str] = {"upsnet": upsnet.MASK_FREE, "heuristic": heuristic.MASK_FREE}
"""What a decoder that expects masks does without them."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a run is worth."""

    answer: Report
    """Of the answers; its IoU is the semantic head's."""
    decoder: PanopticHead
    """How the answers were read off the network's outputs."""
    mask_free: bool
    """The detections came without masks."""
    propagation: PropagationPart | None
    """What propagation adds; None where answers come without it."""

    def further_tables(self) -> list[Table]:
        """Propagation's part, where there is one."""
        return [self.propagation.table(self.answer)] if self.propagation else []

    def sentences(self) -> list[str]:
        """What propagation does, or what the decoder is."""
        if self.propagation:
            return self.propagation.sentences(self.answer)
        return [f"Decoder: {self.decoder}.", *([MASK_FREE[self.decoder]] if self.mask_free and self.decoder in MASK_FREE else [])]

    def to_json(self) -> dict[str, Any]:
        own = {"answer": self.answer.to_json(), "decoder": self.decoder, "mask_free": self.mask_free}
        return own | (self.propagation.to_json() if self.propagation else {})


def evaluate(
    run: str, *, root: str | None = None, trim: bool = True, decoder: PanopticHead | None = None, device: Device = "auto"
) -> Evaluation:
    """Score a run on its held-out images and write RUN/metrics.json; by another decoder than its own, RUN/metrics_DECODER.json.

    root: the data set's folder where it is no longer the one trained on. trim: turn small stuff segments into void, by the
    run's own limit.
    """
    folder, config, _ = open_run(run)
    dataset = held_out(run, root)
    predictor = load(run, decoder=decoder, device=device)
    if not trim:
        predictor.min_stuff_area_px = 0
    evaluation = evaluate_predictor(predictor, dataset, name(config, trim=trim))
    write_json(_metrics_file(folder, config, predictor.decoder), evaluation.to_json())
    return evaluation


def held_out(run: str, root: str | None) -> PanopticDataset:
    """A run's held-out images; root: the data set's folder where it is no longer the one trained on."""
    _, config, classes = open_run(run)
    dataset = validation_dataset(config.data if root is None else replace(config.data, root=root))
    if dataset.classes != classes:
        raise InputError(
            f"{run} was trained on other classes than this data set has ({len(classes)} against {len(dataset.classes)}, or "
            "other names, kinds or order); evaluate it on data with its own class table."
        )
    return dataset


def _metrics_file(folder: RunFolder, config: Config, decoder: PanopticHead) -> Path:
    return folder.metrics if decoder == config.model.panoptic else folder.metrics.with_stem(f"metrics_{decoder}")


def name(config: Config, *, trim: bool) -> str:
    """What the tables call the evaluation."""
    where = f"{config.data.difficulty} scenes" if config.data.source == "scenes" else config.data.val_split
    limit = config.inference.min_stuff_area_px
    return f"{where}, stuff under {limit} px trimmed" if trim and limit else where


def evaluate_predictor(predictor: Predictor, dataset: PanopticDataset, title: str) -> Evaluation:
    """Score a predictor, by its decoder, on every image of a data set, one at a time."""
    num_classes = len(predictor.classes)
    counts, confusion, mask_free = PQCounts.zero(num_classes), Confusion.zero(num_classes), False
    tally = propagation_tally(predictor)
    for index in counted(range(len(dataset)), "evaluating", len(dataset)):
        sample = dataset[index]
        size = original_size(sample.image)
        outputs = predictor.outputs(sample.image)
        counts += count(predictor.answer(outputs, size), sample.truth, num_classes)
        semantic = best_channel(outputs.semantic[0], predictor.network_size(size), size).cpu()
        confusion += confuse(semantic, class_map(sample.truth), num_classes)
        mask_free = outputs.detections[0].mask_logits is None
        if tally:
            tally.add(outputs, sample)
    return Evaluation(
        answer=Report(
            title=title,
            quality=quality(counts, predictor.classes),
            num_images=len(dataset),
            iou=mean_iou(confusion, predictor.classes),
        ),
        decoder=predictor.decoder,
        mask_free=mask_free,
        propagation=tally.part(title) if tally else None,
    )


def class_map(panoptic: PanopticMap) -> Tensor:
    """(H, W) class indices, VOID where unlabelled; crowds have their class, as in the semantic loss."""
    segments = panoptic.segments
    table = torch.tensor([segment.class_index for segment in segments] + [VOID])
    return table[index_of_ids(panoptic.ids, [segment.id for segment in segments])]
