"""Trains and judges variants of a preset: `python benchmarks/ablation.py scenes --variants bare taught --out runs/ablation`.

Several seeds, every head of each checkpoint; differences of PQ with their certainty. Finished runs and judgements in OUT are
reused, stopped runs resumed; two calls with other variants or seeds may share OUT. Settings are chosen on scenes of another seed
(`data.val_seed`) than those that results are reported on.
"""

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from json import JSONDecodeError, loads
from pathlib import Path
from statistics import mean
from typing import Any, get_args

from judge import Judged, judged

from unipan.choices import Difficulty
from unipan.classes import ClassTable
from unipan.config import Config, DataConfig
from unipan.data.build import validation_dataset
from unipan.errors import InputError, plural
from unipan.files import make_folder, replace_atomically
from unipan.metrics.bootstrap import difference_interval, draw_images
from unipan.metrics.pq import PQCounts, quality
from unipan.presets import PRESETS
from unipan.recipes.tables.make import Figure
from unipan.recipes.tables.trials import trained_run
from unipan.settings import with_values

SELECT_SEED = 500
"""Of the scenes that settings are chosen on; results are reported on those of seed 0."""

_TAUGHT = {"model.affinity_position": True, "loss.affinity": 0.5, "loss.affinity_rivals": 0.5}
_EXISTENCE = {"model.existence": True}

VARIANTS: dict[str, Mapping[str, Any]] = {
    "preset": {},
    "bare": {"model.affinity_position": False, "loss.affinity": 0.0, "loss.affinity_rivals": 0.0, "model.existence": False},
    "position": {"model.affinity_position": True},
    "supervised": {"loss.affinity": 0.5},
    "taught": _TAUGHT,
    "existence": _EXISTENCE,
    "taught-existence": {**_TAUGHT, **_EXISTENCE},
    "none": {"model.propagation": "none"},
}
"""Settings by their full names; to try something, add a line.

`preset` is the base itself, `bare` the unified head without what was added to it.
"""

COLUMNS = ("PQ", "PQ th", "SQ th", "PQ st", "matched", "false", "missed", "told apart", "on own", "less the first")


def variant_config(name: str, base: Config, *, seed: int) -> Config:
    """The settings of one training.

    Raises: InputError for a variant that is not listed.
    """
    if name not in VARIANTS:
        raise InputError(f"variant {name} is unknown; choose from {', '.join(VARIANTS)}, or add it to VARIANTS.")
    return with_values(base, {**VARIANTS[name], "train.seed": seed})


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A row for each head of each variant."""

    title: str
    rows: dict[str, list[Judged]]
    """Each variant's seeds."""
    classes: ClassTable

    def markdown(self) -> str:
        """For a page. The last column: mean difference of PQ from the first row, and its middle 95 % in a paired bootstrap."""
        lines = [f"**{self.title}**", "", f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
        cells = {label: " | ".join(row) for label, row in self.table().items()}
        return "\n".join([*lines, *(f"| {label} | {row} |" for label, row in cells.items())]) + "\n"

    def table(self) -> dict[str, list[str]]:
        """The cells of each row."""
        named = {
            (name, head): [judged.heads[head] for judged in seeds] for name, seeds in self.rows.items() for head in seeds[0].heads
        }
        first = next(iter(named.values()))
        drawn, everything = draw_images(len(first[0])), range(len(self.classes))
        table: dict[str, list[str]] = {}
        for (name, head), runs in named.items():
            low, high = difference_interval(runs, first, everything, drawn)
            ahead = mean(self._figures(runs)[0].seeds) - mean(self._figures(first)[0].seeds)
            learnt = [judged.affinity.shares() for judged in self.rows[name]] if head == "unified" else []
            figures = [Figure(seeds=tuple(100 * s[share] for s in learnt)) for share in ("told_apart", "affinity_on_own")]
            table[f"{name}, {head}"] = [
                *map(str, [*self._figures(runs), *figures]),
                "-" if runs is first else f"{ahead:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]",
            ]
        return table

    def _figures(self, runs: Sequence[Sequence[PQCounts]]) -> list[Figure]:
        totals = [sum(images, PQCounts.zero(len(self.classes))) for images in runs]
        found, things = [quality(total, self.classes) for total in totals], list(self.classes.things)
        shares = [[100 * q.all.pq, 100 * q.things.pq, 100 * q.things.sq, 100 * q.stuff.pq] for q in found]
        numbers = [[float(field[things].sum()) for field in (t.matched, t.extra, t.missed)] for t in totals]
        return [Figure(seeds=column) for column in zip(*(s + n for s, n in zip(shares, numbers, strict=True)), strict=True)]


def ablate(names: Sequence[str], base: Config, out: Path, seeds: Sequence[int], on: DataConfig) -> Ablation:
    """Train what is not below OUT yet, judge every head of each run on the held-out images of `on`, and write a page into OUT."""
    make_folder(out)
    runs = {name: [trained_run(name, variant_config(name, base, seed=seed), out) for seed in seeds] for name in names}
    rows = {name: [judged(run, base.inference, on) for run in own] for name, own in runs.items()}
    threshold = base.inference.score_threshold
    found = Ablation(
        title=f"{on.val_scenes} {on.difficulty} scenes of seed {on.val_seed}, threshold {threshold:g}, "
        f"{plural(len(seeds), 'seed')}",
        rows=rows,
        classes=validation_dataset(on).classes,
    )
    page = out / f"ablation-{on.difficulty}-{on.val_seed}-{threshold:g}.md"
    replace_atomically(page, lambda path: path.write_text(found.markdown()))
    return found


def setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value as JSON or a plain word."""
    name, _, value = text.partition("=")
    try:
        return name, loads(value)
    except JSONDecodeError:
        return name, value


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--variants", nargs="+", default=["preset"], choices=VARIANTS, help="the first is compared with")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE", help="settings of all variants")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--difficulty", choices=get_args(Difficulty), help="of the scenes to judge on; else the preset's")
    parser.add_argument("--val-seed", type=int, default=SELECT_SEED, help="of the scenes to judge on; results are of 0")
    parser.add_argument("--scenes", type=int, default=120)
    given = parser.parse_args()
    base = with_values(PRESETS[given.preset](), {name: tuple(v) if isinstance(v, list) else v for name, v in given.set})
    on = replace(base.data, val_seed=given.val_seed, val_scenes=given.scenes)
    on = replace(on, difficulty=given.difficulty or on.difficulty)
    print(ablate(given.variants, base, given.out, given.seeds, on).markdown())


if __name__ == "__main__":
    main()
