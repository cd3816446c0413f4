"""What a perfect part of the unified head would give a trained run: `python benchmarks/ceilings.py runs/demo --nms 0.3 0.5`.

Each row puts the truth in one part's place, for the detections that stand for a true thing, and leaves all else as the network
has it: so much of the error is that part's at most. A thing that no detection stands for stays missed, unless NMS lets one pass.
"""

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from unipan.answer import Inference
from unipan.checkpoint import load_model, open_run
from unipan.choices import Difficulty
from unipan.classes import ClassTable
from unipan.config import Config
from unipan.console import counted
from unipan.data.build import validation_dataset
from unipan.data.targets import make_target
from unipan.losses.detection_matching import match_detections
from unipan.metrics.pq import PQCounts, count, quality
from unipan.models.build import untrained_network
from unipan.models.panoptic_head import UnifiedHead, channel_bias, unary_logits
from unipan.ops.propagation import propagate
from unipan.ops.upsample import STRIDE
from unipan.predictor import Predictor
from unipan.types import Target

NEVER = -50.0
"""Logits of a channel that loses everywhere."""
COLUMNS = ("PQ", "PQ th", "SQ th", "PQ st", "matched", "false", "missed")


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--difficulty", choices=get_args(Difficulty), default="standard")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--val-seed", type=int, default=0)
    parser.add_argument("--nms", type=float, nargs="+", help="of the detections; without it the run's own")
    parser.add_argument("--min-stuff-area-px", type=int, default=64)
    given = parser.parse_args()
    folder, config, classes = open_run(given.run)
    data = replace(config.data, difficulty=given.difficulty, val_scenes=given.scenes, val_seed=given.val_seed)
    inference = replace(config.inference, min_stuff_area_px=given.min_stuff_area_px)
    print(f"**{given.scenes} {given.difficulty} scenes of seed {given.val_seed}**\n\n| | {' | '.join(COLUMNS)} |")
    print(f"|---|{'---:|' * len(COLUMNS)}")
    for nms in given.nms or [config.model.detector.nms]:
        detector = replace(config.model.detector, nms=nms)
        changed = replace(config, data=data, model=replace(config.model, detector=detector), inference=inference)
        network = untrained_network(changed, classes)
        load_model(folder.model, network)
        for row, total in ceilings(Predictor(network, classes, changed), changed).items():
            print(f"| NMS {nms:g}, {row} | {' | '.join(cells(total, classes))} |", flush=True)


def ceilings(predictor: Predictor, config: Config) -> dict[str, PQCounts]:
    """The counts of every row over the held-out scenes."""
    dataset = validation_dataset(config.data)
    totals: dict[str, PQCounts] = {}
    for index in counted(range(len(dataset)), "predicting", len(dataset)):
        sample = dataset[index]
        inference = predictor.infer(sample.image)
        target = make_target(sample.truth, min_thing_px=config.data.min_thing_px)
        for row, logits in with_truth(predictor, inference, target).items():
            answer = predictor.answer(inference._replace(outputs=inference.outputs._replace(panoptic=[logits])))
            zero = PQCounts.zero(len(predictor.classes))
            totals[row] = totals.get(row, zero) + count(answer, sample.truth, len(predictor.classes))
    return totals


@torch.no_grad()
def with_truth(predictor: Predictor, inference: Inference, target: Target) -> Mapping[str, Tensor]:
    """(K, h, w) panoptic logits of every row for one image."""
    network, outputs, admitted = predictor.network, inference.outputs, inference.admitted
    head = network.panoptic_head
    assert isinstance(head, UnifiedHead), "the run has no unified head"
    matched = match_detections(admitted.boxes, admitted.labels, target)
    stands = matched >= 0
    own, true = outputs.potentials[0], outputs.potentials[0].clone()
    first = head.num_stuff
    true[first : first + len(matched)][stands] = shares(target)[matched[stands]]
    boxes = admitted.boxes.clone()
    boxes[stands] = target.boxes[matched[stands]]
    boxed = network.potential(outputs.semantic[0], admitted._replace(boxes=boxes))
    bias = channel_bias(outputs.existence[0], first, len(own))
    judged = torch.zeros_like(bias)
    judged[first : first + len(matched)][~stands] = NEVER
    logits = partial(_logits, head, outputs.affinity[0])
    return {
        "as it is": logits(own, own, bias),
        "true descriptors": logits(own, true, bias),
        "true boxes": logits(boxed, boxed, bias),
        "true existence": logits(own, own, judged),
        "all three": logits(boxed, true, judged),
    }


def _logits(head: UnifiedHead, affinity: Tensor, potentials: Tensor, described: Tensor, bias: Tensor) -> Tensor:
    """The unified head's, with descriptors pooled from other potentials than its unary part has."""
    evidence = propagate(described.flatten(1), affinity.flatten(1).T, head.form).view_as(potentials)
    return head.scale * evidence + head.unary_scale * unary_logits(potentials) + bias


def shares(target: Target) -> Tensor:
    """(G, h, w): which share of each cell is of each true thing."""
    own = (target.instances == torch.arange(len(target.labels))[:, None, None, None]).float()
    return F.avg_pool2d(own, STRIDE, ceil_mode=True, count_include_pad=False)[:, 0]


def cells(total: PQCounts, classes: ClassTable) -> list[str]:
    """Of one row."""
    found, things = quality(total, classes), list(classes.things)
    scores = (found.all.pq, found.things.pq, found.things.sq, found.stuff.pq)
    numbers = (total.matched, total.extra, total.missed)
    return [f"{100 * one:.1f}" for one in scores] + [f"{int(field[things].sum())}" for field in numbers]


if __name__ == "__main__":
    main()
