"""Ours and the baselines, each trained as itself: `python benchmarks/methods.py demo --steps 600 --out runs/methods`.

Every head of every training gets the score threshold, and of --nms the limit, that are best for it on scenes of another seed
than those reported. Finished trainings and judgements in OUT are reused, stopped ones resumed; `judge.py` judges them.
"""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

from ablation import SELECT_SEED, Ablation, setting
from judge import Judged, judged

from unipan.choices import Difficulty, PanopticHead
from unipan.classes import ClassTable
from unipan.config import Config, DataConfig
from unipan.data.build import validation_dataset
from unipan.files import make_folder, replace_atomically
from unipan.metrics.pq import PQCounts, quality
from unipan.presets import PRESETS
from unipan.recipes.tables.methods import Method, method_config
from unipan.recipes.tables.trials import trained_run
from unipan.settings import with_values

METHODS: tuple[Method, ...] = ("masks-b", "panoptic-fpn", "upsnet", "boxes")
THRESHOLDS = (0.15, 0.3, 0.5)
SELECT_SCENES = 60


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=get_args(Method), help="the first is compared with")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE", help="settings of all trainings")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--nms", nargs="+", type=float, default=[None], help="limits to choose from; else the training's own")
    kinds = {"nargs": "+", "choices": get_args(Difficulty), "help": "scenes to report on; those to train on are the preset's"}
    parser.add_argument("--difficulties", default=["standard", "crowded"], **kinds)
    parser.add_argument("--scenes", type=int, default=200, help="held-out scenes to report on")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    base = with_values(PRESETS[given.preset](), {"train.steps": given.steps, **dict(given.set)})
    make_folder(given.out)
    runs = {m: [trained_run(m, method_config(m, base, seed=seed), given.out) for seed in given.seeds] for m in given.methods}
    for difficulty in given.difficulties:
        found = compared(runs, base, replace(base.data, difficulty=difficulty, val_scenes=given.scenes), given.nms)
        write = partial(Path.write_text, data=found.markdown())
        replace_atomically(given.out / f"methods-{difficulty}.md", write)
        print(found.markdown())


Reading = tuple[float, float | None]
"""How answers are read off: score threshold and NMS."""


def compared(
    runs: Mapping[Method, Sequence[Path]], base: Config, on: DataConfig, nms: Sequence[float | None] = (None,)
) -> Ablation:
    """A row for each head of each method, its threshold and NMS chosen on other scenes of the same difficulty."""
    select = replace(on, val_seed=SELECT_SEED, val_scenes=SELECT_SCENES)
    classes = validation_dataset(on).classes
    rows: dict[str, list[Judged]] = {}
    for method, own in runs.items():
        best = best_readings(own, base, select, classes, nms)
        for reading in dict.fromkeys(best.values()):
            heads: list[PanopticHead] = [head for head, own_best in best.items() if own_best == reading]
            label = f"{method} at {reading[0]:g}" + ("" if reading[1] is None else f", NMS {reading[1]:g}")
            rows[label] = [_of(read(run, base, on, reading), heads) for run in own]
    title = f"{on.val_scenes} {on.difficulty} scenes of seed {on.val_seed}; thresholds from {SELECT_SCENES} of seed {SELECT_SEED}"
    return Ablation(title=title, rows=rows, classes=classes)


def best_readings(
    runs: Sequence[Path], base: Config, on: DataConfig, classes: ClassTable, nms: Sequence[float | None]
) -> dict[PanopticHead, Reading]:
    """For each head the reading with the highest PQ, on the average of the seeds."""
    totals: dict[PanopticHead, dict[Reading, float]] = {}
    for reading in product(THRESHOLDS, nms):
        for run in runs:
            for head, images in read(run, base, on, reading).heads.items():
                pq = quality(sum(images, PQCounts.zero(len(classes))), classes).all.pq
                by_reading = totals.setdefault(head, {})
                by_reading[reading] = by_reading.get(reading, 0.0) + pq
    return {head: max(found, key=found.__getitem__) for head, found in totals.items()}


def read(run: Path, base: Config, on: DataConfig, reading: Reading) -> Judged:
    """Every head of one run on these scenes."""
    threshold, nms = reading
    return judged(run, replace(base.inference, score_threshold=threshold), on, nms)


def _of(found: Judged, heads: Sequence[PanopticHead]) -> Judged:
    return found._replace(heads={head: found.heads[head] for head in heads})


if __name__ == "__main__":
    main()
