"""`unipan demo`, `train` and `tables`: what trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from unipan.cli.options import AsJson, Settings, print_all, print_evaluation, print_json
from unipan.recipes.tables.paper_tables import Letter


def demo(config: Settings, *, out: Path = Path("runs/demo"), show: bool = False, as_json: AsJson = False) -> None:
    """Train the small preset on procedural scenes, evaluate it, and write an illustrated report.

    Args:
        config: Every setting of the run.
        out: Folder for the model, metrics.json and report.html; a demo in it that was stopped goes on.
        show: Only draw a contact sheet of the scenes (OUT/scenes.png) and print what they are like.
    """
    from unipan.engine.processes import this_process
    from unipan.recipes import demo as recipe

    if show:
        if not this_process().is_main:
            return
        path, statistics = recipe.show_scenes(config, out)
        print_all(
            recipe.statistics_table(statistics, config.data.difficulty),
            f"Drawn in {path}; one by one in {out / 'images'}, their truth in {out / 'truth.json'}.",
        )
        return
    print_evaluation(recipe.demo(config, out), as_json=as_json)
    if not as_json:
        print_all(f"Look at {out / 'report.html'}; the model is in {out}.")


def train(
    config: Settings,
    *,
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: a new one)")] = None,
    resume: bool = False,
) -> None:
    """Train a network.

    Args:
        config: Every setting of the run.
        out: Folder for the run; without it a new one, runs/train-N.
        resume: Go on exactly where the run in OUT stopped; the settings must be its own.
    """
    from unipan.api import train as begin

    run = begin(config, out=out, resume=resume)
    print_all(f"Trained into {run.path}; next: unipan evaluate {run.path}")


def table_maker(letter: Letter) -> Callable[..., None]:
    """The command that makes one of the paper's tables."""

    def table(config: Settings, *, out: Path, seeds: tuple[int, ...] = (0, 1, 2), as_json: AsJson = False) -> None:
        """Make a table of the paper's supplementary.

        Args:
            config: Every setting that the table's methods share.
            out: Folder for the runs and the table; finished runs in it are reused, stopped ones resumed.
            seeds: One training of each method for each of these.
        """
        from unipan.engine.processes import this_process
        from unipan.recipes.tables.make import make_table

        filled = make_table(letter, config, out, seeds)
        if not this_process().is_main:
            return
        if as_json:
            print_json(filled.to_json())
            return
        written = f"Written to {out / f'table_{letter}.md'} and .json; the runs are in {out}."
        print_all(filled.table(), *filled.notes, written)

    return table
