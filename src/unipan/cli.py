"""The command line: one thin command for each recipe.

Results go to stdout, progress and messages to stderr. Exit status: 0 success, 2 what the user can mend, 1 a fault of ours.
Recipes are imported when they are run, so that `--help` answers at once.
"""

import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from difflib import get_close_matches
from functools import partial, wraps
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

from unipan.config import Config, Device, PanopticHead
from unipan.errors import InputError
from unipan.presets import PRESETS

Settings = Annotated[Config, arg(name="")]
"""Settings bear their own names: --train.steps, not --config.train.steps."""
Run = Annotated[str, arg(metavar="RUN", help="Folder of a run, or hf:OWNER/NAME on the Hugging Face Hub.")]

_DEMO = PRESETS["demo"]()

app = SubcommandApp()
train_app = SubcommandApp()


def main(arguments: list[str] | None = None) -> None:
    """The `unipan` command."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _check_names(given)
        _parse(given)()
    except InputError as error:
        print(f"unipan: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("unipan: interrupted.", file=sys.stderr)
        sys.exit(130)


def _check_names(arguments: list[str]) -> None:
    """Name the nearest verb or preset for one that is unknown, in a sentence."""
    known = [("verb", ["demo", "train", "evaluate", "predict", "compare", "score"])]
    if arguments[:1] == ["train"]:
        known.append(("preset", list(PRESETS)))
    for word, (kind, names) in zip(arguments, known, strict=False):
        if not word.startswith("-") and word.replace("-", "_") not in names:
            near = get_close_matches(word, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"there is no {kind} {word!r}: {hint}There are {', '.join(names)}.")


def _parse(arguments: list[str]) -> Callable[[], None]:
    """The command asked for, ready to run. A setting's own complaint is raised as it is, not in the parser's words."""
    printed = StringIO()
    try:
        with redirect_stderr(printed):
            return app.cli(prog="unipan", description="Panoptic segmentation through a learnt instance affinity.", args=arguments)
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause and not isinstance(cause, InputError):
            cause = cause.__context__
        if cause:
            raise cause from None
        _refuse_unknown_option(arguments, printed.getvalue())
        print(printed.getvalue(), end="", file=sys.stderr)
        raise


def _refuse_unknown_option(arguments: list[str], printed: str) -> None:
    """Say in a sentence what the parser says in a box, where an option is unknown; it knows the options, and so the nearest."""
    refused = re.search(r"Unrecognized[^:]*:[^─]*", printed)
    unknown = next((word for word in arguments if refused and word.startswith("--") and word in refused[0]), "")
    near = re.search(r"Perhaps you meant:.*?(--[\w.-]+)", printed, re.DOTALL)
    if unknown:
        hint = f"did you mean {near[1]} ? " if near else ""
        verb = " ".join(arguments[: 2 if arguments[0] == "train" else 1])
        raise InputError(f"there is no option {unknown}: {hint}All are listed by unipan {verb} --help.") from None


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """The parser calls a command as soon as it has its arguments; this lets `main` run it."""

    @wraps(command)
    def ready(*args: Any, **options: Any) -> Callable[[], None]:
        return partial(command, *args, **options)

    return ready


@app.command
@_deferred
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
    from unipan.recipes import demo as recipe
    from unipan.recipes.console import results

    if show:
        path, statistics = recipe.show_scenes(config, out)
        results.print(recipe.statistics_table(statistics, config.data.difficulty))
        results.print(f"Drawn in {path}; one by one in {out / 'images'}, their truth in {out / 'truth.json'}.", soft_wrap=True)
        return
    _print_evaluation(recipe.demo(config, out), as_json=as_json)
    if not as_json:
        results.print(f"Look at {out / 'report.html'}; the model is in {out}.", soft_wrap=True)


def _train_with(preset: Callable[[], Config]) -> Callable[..., None]:
    """The command that trains with one preset."""

    def command(config: Settings, *, out: Path, resume: bool = False) -> None:
        from unipan.recipes.console import results
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
    train_app.command(_deferred(_train_with(_preset)))
app.command(train_app, name="train", help="Train a network with a preset; --help after its name lists every setting.")


@app.command
@_deferred
def evaluate(
    run: Positional[Run],
    *,
    root: Annotated[str | None, arg(name="data.root")] = None,
    decoder: PanopticHead | None = None,
    trim: bool = True,
    device: Device = "auto",
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Score a run on its held-out images: a table, and RUN/metrics.json.

    Args:
        run: The run.
        root: The data set's folder, where it is not the one that the run was trained on.
        decoder: The way to the answer, where it is not the one trained for; writes RUN/metrics_DECODER.json.
        trim: Turn small stuff segments into void, by the run's own limit (part of evaluation as published).
        device: auto is the GPU where there is one.
        as_json: Print the metrics as JSON.
    """
    from unipan.recipes.evaluate import evaluate as recipe

    _print_evaluation(recipe(run, root=root, trim=trim, decoder=decoder, device=device), as_json=as_json)


@app.command
@_deferred
def predict(
    run: Positional[Run],
    images: Positional[list[Path]],
    *,
    out: Path,
    decoder: PanopticHead | None = None,
    device: Device = "auto",
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Segment images: an overlay for each, and together panoptic.json and its PNG folder, in the COCO panoptic format.

    Args:
        run: The run.
        images: Image files, or folders of them.
        out: Folder for the results.
        decoder: The way to the answer, where it is not the one trained for.
        device: auto is the GPU where there is one.
        as_json: Print the panoptic.json.
    """
    from unipan.recipes.console import results
    from unipan.recipes.predict import predict as recipe
    from unipan.recipes.predict import segment_table

    answers = recipe(run, images, out, decoder=decoder, device=device)
    if as_json:
        print((out / "panoptic.json").read_text())
        return
    if len(answers) == 1:
        results.print(segment_table(*answers[0]))
    segments = sum(len(answer.segments) for _, answer in answers)
    results.print(
        f"{len(answers)} image(s), {segments} segments: overlays, panoptic.json and panoptic/ are in {out}.", soft_wrap=True
    )


@app.command
@_deferred
def compare(
    run: Positional[Run],
    images: Positional[list[Path]] = [],  # noqa: B006 (only read; the parser wants the list itself)
    *,
    out: Path,
    samples: int = 0,
    root: Annotated[str | None, arg(name="data.root")] = None,
    device: Device = "auto",
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Show one checkpoint's answers side by side: unified, UPSNet's head, heuristic merger. With truth, also their scores.

    Args:
        run: The run.
        images: Image files, or folders of them; or none, with --samples.
        out: Folder for a picture of each image and, with truth, comparison.json.
        samples: Compare on so many of the run's held-out images, whose truth is known.
        root: The data set's folder for --samples, where it is not the one that the run was trained on.
        device: auto is the GPU where there is one.
        as_json: Print the comparison as JSON.
    """
    from unipan.recipes.compare import compare as recipe
    from unipan.recipes.console import results

    comparison = recipe(run, images, out, samples=samples, root=root, device=device)
    if as_json:
        _print_json(comparison.to_json())
        return
    results.print(comparison.table())
    for sentence in comparison.sentences():
        results.print(sentence, soft_wrap=True)
    results.print(f"{len(comparison.pictures)} picture(s) are in {out}.", soft_wrap=True)


@app.command
@_deferred
def score(
    truth: Positional[Path],
    predictions: Positional[Path],
    *,
    truth_dir: Path | None = None,
    predictions_dir: Path | None = None,
    merge: Literal["none", "supercategory"] = "none",
    as_json: Annotated[bool, arg(name="json")] = False,
) -> None:
    """Panoptic quality of files in the COCO panoptic format; no model.

    Args:
        truth: JSON of the truth.
        predictions: JSON of the predictions.
        truth_dir: Folder of the truth's PNGs; without it, the one beside the JSON that bears its name.
        predictions_dir: Folder of the predictions' PNGs; likewise.
        merge: Merge the truth's classes as training did; a class's stuff in one image becomes one segment.
        as_json: Print the metrics as JSON.
    """
    from unipan.recipes.console import results
    from unipan.recipes.score import score as recipe

    report = recipe(truth, predictions, truth_dir=truth_dir, predictions_dir=predictions_dir, merge=merge)
    if as_json:
        _print_json(report.to_json())
    else:
        results.print(report.class_table())
        results.print(report.table())


def _print_evaluation(evaluation: Any, *, as_json: bool) -> None:
    from unipan.recipes.console import results

    if as_json:
        _print_json(evaluation.to_json())
        return
    results.print(evaluation.answer.class_table())
    results.print(evaluation.answer.table())
    for table in evaluation.further_tables():
        results.print(table)
    for sentence in evaluation.sentences():
        results.print(sentence, soft_wrap=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    main()
