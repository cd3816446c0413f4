"""What ablations and comparisons know of a checkpoint: every head's counts on held-out images, kept beside its weights."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from unipan.choices import PanopticHead
from unipan.config import DataConfig, InferenceConfig
from unipan.console import counted
from unipan.data.build import validation_dataset
from unipan.data.dataset import PanopticDataset
from unipan.metrics.affinity import AffinityCounts
from unipan.metrics.pq import PQCounts, count
from unipan.overrides import Overrides
from unipan.predictor import Predictor
from unipan.recipes.evaluation.affinity import affinity_of
from unipan.recipes.tables.trials import kept_or, predictor_of


class Judged(NamedTuple):
    """One checkpoint on all images, in their order."""

    heads: dict[PanopticHead, list[PQCounts]]
    affinity: AffinityCounts


def judged(run: Path, inference: InferenceConfig, data: DataConfig, nms: float | None = None) -> Judged:
    """Every head of a finished run on the held-out images of `data`; kept in the run's folder. nms: another than the run's."""

    def judge() -> dict[str, Any]:
        predictor = predictor_of(run, inference, data, trim=True, overrides=Overrides(nms=nms))
        return _to_json(_judge(predictor.to("auto"), validation_dataset(data)))

    name = f"judged-{data.difficulty}-{data.val_seed}-{inference.score_threshold:g}" + ("" if nms is None else f"-nms-{nms:g}")
    return _from_json(kept_or(run, name, (inference, data), judge))


@torch.inference_mode()
def _judge(predictor: Predictor, dataset: PanopticDataset) -> Judged:
    found = Judged({head: [] for head in predictor.heads}, AffinityCounts())
    for index in counted(range(len(dataset)), "judging", len(dataset)):
        sample = dataset[index]
        inference = predictor.infer(sample.image)
        for head, images in found.heads.items():
            images.append(count(predictor.answer(inference, head=head), sample.truth, len(predictor.classes)))
        found = found._replace(affinity=found.affinity + affinity_of(inference, sample.truth))
    return found


def _to_json(found: Judged) -> dict[str, Any]:
    heads = {
        head: [{field.name: getattr(image, field.name).tolist() for field in fields(PQCounts)} for image in images]
        for head, images in found.heads.items()
    }
    return {"heads": heads, "affinity": asdict(found.affinity)}


def _from_json(content: dict[str, Any]) -> Judged:
    heads = {
        head: [PQCounts(**{name: np.array(numbers) for name, numbers in image.items()}) for image in images]
        for head, images in content["heads"].items()
    }
    return Judged(heads, AffinityCounts(**content["affinity"]))
