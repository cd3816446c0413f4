"""The first check of any network: can it learn four images by heart? A failure says which class and which part fell short."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

from unipan.classes import ClassTable
from unipan.config import Config, DataConfig, DetectorConfig, LossConfig, ModelConfig, TrainConfig
from unipan.data.build import augmentation
from unipan.data.loader import collate
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.training_item import training_item
from unipan.engine.fit import Trainer, fit
from unipan.engine.guards import Guard
from unipan.engine.optimize import learning_rate
from unipan.engine.runtime import Runtime
from unipan.losses.build import criterion_of
from unipan.metrics.pq import PanopticQuality, PQCounts, count, quality
from unipan.models.build import build_network
from unipan.models.network import PanopticNetwork
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.upsample import STRIDE, upsample_logits
from unipan.predictor import Predictor
from unipan.types import Admission, Batch, PanopticMap, Sample

SIZE = (128, 160)
NUM_SCENES = 4
MAX_GAP = 0.03
"""How far below the ceiling the answers may stay, as a fraction of PQ."""
STEPS = 300
NARROW = Config(
    model=ModelConfig(
        backbone="test_convnext",  # LayerNorm: random weights need statistics that frozen batch norms do not have
        pretrained=False,
        fpn_channels=32,
        fpn_norm=True,
        decoder_channels=(32, 32),
        affinity_dim=16,
        detector=DetectorConfig(
            anchor_scale=4.0,
            proposals_before_nms=100,
            proposals=40,
            rpn_samples=128,
            roi_samples=64,
            box_channels=128,
            mask_channels=16,
            max_detections=30,
        ),
    ),
    data=DataConfig(flip=False, scene_size=SIZE),
    loss=LossConfig(panoptic=1.0),
    train=TrainConfig(
        steps=STEPS,
        batch_size=NUM_SCENES,
        learning_rate=0.002,
        warmup_steps=20,
        decay_steps=(7 * STEPS // 10, 9 * STEPS // 10),
        device="cpu",
    ),
)
MASK_FREE = replace(NARROW, model=replace(NARROW.model, masks=False, variant="A"))
ONE_STAGE = replace(NARROW, model=replace(NARROW.model, detector=replace(NARROW.model.detector, kind="one_stage")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [pytest.param(NARROW, id="masks"), pytest.param(MASK_FREE, id="mask-free"), pytest.param(ONE_STAGE, id="one-stage")],
)
def test_four_scenes_are_learnt_by_heart(config: Config, tmp_path: Path) -> None:
    dataset = SceneDataset(difficulty="standard", size=SIZE, seed=0, length=NUM_SCENES)
    samples = [dataset[index] for index in range(NUM_SCENES)]
    classes = dataset.classes
    best = _quality([_through_cells(sample.truth, classes) for sample in samples], samples, classes)

    torch.manual_seed(config.train.seed)
    network = build_network(config.model, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000
    batch = _batch(samples, config)
    _train(network, batch, config, classes, tmp_path)
    predictor = Predictor(network, classes, config)
    reached = _quality([predictor(sample.image) for sample in samples], samples, classes)

    found = [_truth_found(predictor, sample, target) for sample, target in zip(samples, batch.targets, strict=True)]
    report = "\n".join([_line("ceiling", best), _line("reached", reached), f"best box IoU of each true thing: {found}"])
    print(report)
    assert reached.all.pq > best.all.pq - MAX_GAP, report


def _batch(samples: list[Sample], config: Config) -> Batch:
    """The scenes as they are; without augmentation the generator is never asked."""
    random = np.random.default_rng(0)
    return collate([training_item(s, augmentation(config.data), random, min_thing_px=config.data.min_thing_px) for s in samples])


def _train(network: PanopticNetwork, batch: Batch, config: Config, classes: ClassTable, folder: Path) -> None:
    """The project's own loop, rate and criterion; Adam, because SGD would need ten times the steps from random weights."""
    train = config.train
    trainer = Trainer(
        network=network,
        criterion=criterion_of(config, classes),
        optimizer=torch.optim.Adam(network.parameters(), lr=0.0),
        runtime=Runtime(device=train.device, precision=train.precision),
        rate=partial(
            learning_rate,
            base=train.learning_rate,
            warmup_steps=train.warmup_steps,
            warmup_factor=train.warmup_factor,
            decay_steps=train.decay_steps,
        ),
        seed=train.seed,
        clip_norm=train.clip_norm,
        admission=Admission(train.score_threshold, train.max_admitted),
        passes=1,
        guard=Guard(folder, "stop"),
    )
    fit(trainer, _redrawn(batch, train.steps), [], first_step=1)


def _redrawn(batch: Batch, steps: int) -> Iterator[Batch]:
    """The same images at every step; which anchors and regions the losses are taken on is drawn anew, as in a training."""
    for step in range(steps):
        targets = (replace(target, seed=10 * (len(batch.targets) * step + i)) for i, target in enumerate(batch.targets))
        yield replace(batch, targets=tuple(targets))


def _through_cells(truth: PanopticMap, classes: ClassTable) -> PanopticMap:
    """The truth as the best possible panoptic logits would give it: averaged over the cells, brought back, arg max.

    Not a strict bound, as logits that overshoot can place a border within a cell.
    """
    ids = torch.tensor([segment.id for segment in truth.segments])
    channels = (truth.ids.long() == ids[:, None, None]).float()
    cells = F.avg_pool2d(channels[None], STRIDE)[0]
    best = ids[upsample_logits(cells, SIZE).argmax(0)].to(torch.int32)
    return panoptic_map(best, [Label(segment.id, segment.class_index) for segment in truth.segments], classes)


def _quality(answers: list[PanopticMap], samples: list[Sample], classes: ClassTable) -> PanopticQuality:
    counts = PQCounts.zero(len(classes))
    for answer, sample in zip(answers, samples, strict=True):
        counts += count(answer, sample.truth, len(classes))
    return quality(counts, classes)


def _truth_found(predictor: Predictor, sample: Sample, target) -> list[float]:
    """For each true thing the best box IoU of an admitted detection of its class: the detector's part of a failure."""
    admitted = predictor.infer(sample.image).admitted
    iou = box_iou(target.boxes, admitted.boxes) * (target.labels[:, None] == admitted.labels)
    return [round(max(row, default=0.0), 2) for row in iou.tolist()]


def _line(name: str, of: PanopticQuality) -> str:
    each = ", ".join(f"{one.name} {100 * one.pq:.1f}" for one in of.per_class)
    return f"{name}: PQ {100 * of.all.pq:.1f}, things {100 * of.things.pq:.1f}, stuff {100 * of.stuff.pq:.1f} ({each})"
