"""Ours and the baselines, each trained as itself: `python benchmarks/methods.py demo --steps 600 --out runs/methods`.

Every head of every training gets the score threshold that is best for it on scenes of another seed than those reported.
Finished trainings and judgements in OUT are reused, stopped ones resumed; `ablation.py` says how they are judged.
"""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from ablation import SELECT_SEED, Ablation, Judged, judged

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
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--difficulties", nargs="+", default=["standard", "crowded"], choices=get_args(Difficulty))
    parser.add_argument("--scenes", type=int, default=200, help="held-out scenes to report on")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    base = with_values(PRESETS[given.preset](), {"train.steps": given.steps})
    make_folder(given.out)
    runs = {m: [trained_run(m, method_config(m, base, seed=seed), given.out) for seed in given.seeds] for m in given.methods}
    for difficulty in given.difficulties:
        found = compared(runs, base, replace(base.data, difficulty=difficulty, val_scenes=given.scenes))
        write = partial(Path.write_text, data=found.markdown())
        replace_atomically(given.out / f"methods-{difficulty}.md", write)
        print(found.markdown())


def compared(runs: Mapping[Method, Sequence[Path]], base: Config, on: DataConfig) -> Ablation:
    """A row for each head of each method, its threshold chosen on other scenes of the same difficulty."""
    select = replace(on, val_seed=SELECT_SEED, val_scenes=SELECT_SCENES)
    classes = validation_dataset(on).classes
    rows: dict[str, list[Judged]] = {}
    for method, own in runs.items():
        best = _best(own, base, select, classes)
        for threshold in dict.fromkeys(best.values()):
            heads: list[PanopticHead] = [head for head, own_best in best.items() if own_best == threshold]
            inference = replace(base.inference, score_threshold=threshold)
            rows[f"{method} at {threshold:g}"] = [_of(judged(run, inference, on), heads) for run in own]
    title = f"{on.val_scenes} {on.difficulty} scenes of seed {on.val_seed}; thresholds from {SELECT_SCENES} of seed {SELECT_SEED}"
    return Ablation(title=title, rows=rows, classes=classes)


def _best(runs: Sequence[Path], base: Config, on: DataConfig, classes: ClassTable) -> dict[PanopticHead, float]:
    """For each head the threshold with the highest PQ, on the average of the seeds."""
    totals: dict[PanopticHead, dict[float, float]] = {}
    for threshold in THRESHOLDS:
        for run in runs:
            for head, images in judged(run, replace(base.inference, score_threshold=threshold), on).heads.items():
                pq = quality(sum(images, PQCounts.zero(len(classes))), classes).all.pq
                by_threshold = totals.setdefault(head, {})
                by_threshold[threshold] = by_threshold.get(threshold, 0.0) + pq
    return {head: max(found, key=found.__getitem__) for head, found in totals.items()}


def _of(found: Judged, heads: Sequence[PanopticHead]) -> Judged:
    return found._replace(heads={head: found.heads[head] for head in heads})


if __name__ == "__main__":
    main()
