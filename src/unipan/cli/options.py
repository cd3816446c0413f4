"""Options that several verbs share, and how they print."""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any

from tyro.conf import arg

from unipan.config import Config
from unipan.errors import InputError
from unipan.overrides import Overrides

Settings = Annotated[Config, arg(name="")]
"""Settings bear their own names: --train.steps, not --config.train.steps."""
Overriding = Annotated[Overrides, arg(name="")]
Run = Annotated[str, arg(metavar="RUN", help="Folder of a run, or OWNER/NAME on the Hugging Face Hub.")]
DeviceName = Annotated[str, arg(help="auto is the GPU where there is one; or cpu, cuda, cuda:1, mps.")]
Root = Annotated[str | None, arg(name="data.root", metavar="DIR")]
Unset = arg(help_behavior_hint="(default: none)")
"""Of an option of a run's verb that stands for nothing where it is left out; the others are then as the run has it."""
AsJson = Annotated[bool, arg(name="json", help="Print the result as JSON.")]


@dataclass(frozen=True, kw_only=True)
class TileOptions:
    """How large images are cut."""

    tile: Annotated[int | None, Unset] = None
    """Predict in tiles of so many pixels a side, joined where they overlap: for images too large for the memory."""
    tile_overlap: Annotated[int | None, Unset] = None
    """Pixels that neighbouring tiles share; without it, an eighth of a tile."""

    def size(self) -> int | tuple[int, int] | None:
        """Both as one value, as a predictor takes them."""
        if self.tile_overlap is None:
            return self.tile
        if self.tile is None:
            raise InputError(f"--tile-overlap {self.tile_overlap} came without --tile; give the side of a tile too.")
        return self.tile, self.tile_overlap


NO_TILES = TileOptions()
Tiles = Annotated[TileOptions, arg(name="")]


def untrimmed_unless(trim: bool, overrides: Overrides) -> Overrides:
    """The overrides with --no-trim among them."""
    if not trim and overrides.min_stuff_area_px:
        raise InputError(f"--no-trim and --min-stuff-area-px {overrides.min_stuff_area_px} came; give one of them.")
    return overrides if trim else replace(overrides, min_stuff_area_px=0)


def print_json(value: Any) -> None:
    """Print what a program reads."""
    print(json.dumps(value, indent=2))


def print_all(*parts: Any) -> None:
    """Print tables, and sentences however long they are, on stdout."""
    from unipan.console import results

    for part in parts:
        if isinstance(part, str):
            results.print(part, soft_wrap=True)
        else:
            results.print(part, "")  # a line between tables


def print_once(*parts: Any) -> None:
    """`print_all`, of several processes in the main one."""
    from unipan.engine.processes import this_process

    if this_process().is_main:
        print_all(*parts)


def print_evaluation(evaluation: Any, *, as_json: bool) -> None:
    """Print it once, however many processes measured it together."""
    from unipan.engine.processes import this_process

    if not this_process().is_main:
        return
    if as_json:
        print_json(evaluation.to_json())
        return
    answer = evaluation.answer
    tables = (answer.class_table(), answer.table(), *answer.error_tables(), *evaluation.further_tables())
    print_all(*tables, *evaluation.sentences())
