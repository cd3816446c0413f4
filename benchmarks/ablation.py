"""Trains and judges variants of a preset: `python benchmarks/ablation.py demo --variants bare taught --out runs/ablation`.

Variants stand in src/unipan/recipes/tables/variants.py. Finished runs and judgements in OUT are reused, stopped runs resumed; two
calls with other variants or seeds may share OUT. Every head of each checkpoint is judged.
"""

from argparse import ArgumentParser
from dataclasses import replace
from json import JSONDecodeError, loads
from pathlib import Path
from typing import Any, get_args

from unipan.choices import Difficulty
from unipan.presets import PRESETS
from unipan.recipes.tables.ablation import ablate
from unipan.recipes.tables.variants import VARIANTS, with_settings

SELECT_SEED = 500
"""Of the scenes that settings are chosen on; results are reported on those of seed 0."""


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
    base = with_settings(PRESETS[given.preset](), {name: tuple(v) if isinstance(v, list) else v for name, v in given.set})
    on = replace(base.data, val_seed=given.val_seed, val_scenes=given.scenes)
    on = replace(on, difficulty=given.difficulty or on.difficulty)
    print(ablate(given.variants, base, given.out, given.seeds, on).markdown())


if __name__ == "__main__":
    main()
