"""`unipan demo` and `unipan train`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from tyro.conf import arg
from tyro.extras import SubcommandApp

from unipan.cli.options import Settings, print_evaluation
from unipan.cli.parse import deferred
from unipan.config import Config
from unipan.presets import PRESETS

_DEMO = PRESETS["demo"]()

train_app = SubcommandApp()


def demo(
    config: Settings = _DEMO,
    *,
    out: Path = Path("runs/demo"),
    show: bool = False,
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Train the small preset on procedural scenes, evaluate it, and write an illustrated report.

    Args:
        config: Every setting of the run.
        out: Folder for the model, metrics.json and report.html.
        show: Only draw a contact sheet of the scenes (OUT/scenes.png) and print what they are like.
        as_json: Print the metrics as JSON.
    """
    from unipan.console import results
    from unipan.recipes import demo as recipe

    if show:
        path, statistics = recipe.show_scenes(config, out)
        results.print(recipe.statistics_table(statistics, config.data.difficulty))
        results.print(f"Drawn in {path}; one by one in {out / 'images'}, their truth in {out / 'truth.json'}.", soft_wrap=True)
        return
    print_evaluation(recipe.demo(config, out), as_json=as_json)
    if not as_json:
        results.print(f"Look at {out / 'report.html'}; the model is in {out}.", soft_wrap=True)


def _train_with(preset: Callable[[], Config]) -> Callable[..., None]:
    """The command that trains with one preset."""

    def command(config: Settings, *, out: Path, resume: bool = False) -> None:
        from unipan.console import results
        from unipan.recipes.train import train

        train(config, out, resume=resume)
        results.print(f"Trained into {out}; next: unipan evaluate {out}", soft_wrap=True)

    command.__defaults__ = (preset(),)
    command.__name__ = preset.__name__
    command.__doc__ = f"""{preset.__doc__}

    Args:
        config: Every setting of the run.
        out: Folder for the run.
        resume: Go on exactly where the run in OUT stopped; the settings must be its own.
    """
    return command


for _preset in PRESETS.values():
    train_app.command(deferred(_train_with(_preset)))
