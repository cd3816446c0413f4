"""`unipan evaluate`, `report`, `compare`, `score` and `runs`: what looks at trained networks and at answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from unipan.choices import Merge, PanopticHead
from unipan.cli.options import (
    AsJson,
    DeviceName,
    Overriding,
    Root,
    Run,
    Unset,
    print_all,
    print_evaluation,
    print_json,
    print_once,
    untrimmed_unless,
)
from unipan.errors import plural
from unipan.overrides import NO_OVERRIDES

if TYPE_CHECKING:
    from unipan.recipes.parts import PartOf

Part = Annotated[
    str, arg(metavar="I/N", help="Take every N-th image only, from the I-th on, and write the counts to --out: 1/4 to 4/4.")
]
PartOut = Annotated[Path | None, arg(metavar="FILE", help="The file for a part's counts."), Unset]
MergeParts = Annotated[
    list[Path], arg(metavar="FILE ...", help="Combine the files of all parts; give the same options as for the parts.")
]


def evaluate(
    run: Positional[Run],
    *,
    root: Root = None,
    val: Annotated[str, arg(name="data.val")] = "",
    images: Annotated[str, arg(name="data.images")] = "",
    head: PanopticHead | None = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    device: DeviceName = "auto",
    part: Part = "",
    out: PartOut = None,
    merge_parts: MergeParts = [],  # noqa: B006 (only read)
    as_json: AsJson = False,
) -> None:
    """Score a run on its held-out images: tables of PQ, IoU, AP (extra `coco`) and confusion, and RUN/metrics.json.

    Scores with another head, data set or limit than the run's own go to a further file that is named after it, such as
    RUN/metrics_upsnet.json. Where a launcher starts several processes, they share the images.

    Args:
        root: The data set's folder, where it is not the one that the run was trained on.
        val: A panoptic JSON to evaluate on instead of the run's held-out images, as a test set.
        images: The folder of its images.
        head: The way to the answer, where it is not the one trained for.
        trim: Turn small stuff segments into void, by the run's own limit (part of evaluation as published).
    """
    from unipan.recipes.parts import asked_part

    own, overrides = asked_part(part, out, merge_parts), untrimmed_unless(trim, overrides)
    if own or merge_parts:
        from unipan.recipes.evaluate_parts import Asked, evaluate_part, merge_evaluations

        asked = Asked(run=run, root=root, val=val, images=images, head=head, overrides=overrides, device=device)
        if own and out:
            print_once(_part_sentence(own, out, evaluate_part(asked, own, out)))
        else:
            print_evaluation(merge_evaluations(asked, merge_parts), as_json=as_json)
        return
    from unipan.recipes.evaluate import evaluate as recipe

    print_evaluation(
        recipe(run, root=root, val=val, images=images, head=head, overrides=overrides, device=device), as_json=as_json
    )


def report(
    run: Positional[Run],
    *,
    root: Root = None,
    val: Annotated[str, arg(name="data.val")] = "",
    images: Annotated[str, arg(name="data.images")] = "",
    head: PanopticHead | None = None,
    explore: bool = False,
    device: DeviceName = "auto",
) -> None:
    """Evaluate a run and draw it as a page: scores, errors, loss curves, the worst and the best images. Needs the extra `report`.

    Args:
        root: The data set's folder, as for evaluate.
        val: A panoptic JSON to look at instead of the run's held-out images; writes RUN/report_NAME.html.
        images: The folder of its images.
        head: The way to the answer, where it is not the one trained for; writes RUN/report_HEAD.html.
        explore: Make an explorer page of each image that is shown, in RUN/explorer, to which the report leads.
    """
    from unipan.recipes.illustrate import report as recipe

    print_all(f"Look at {recipe(run, root=root, val=val, images=images, head=head, explore=explore, device=device)}.")


def compare(
    run: Positional[Run],
    images: Positional[list[Path]] = [],  # noqa: B006 (only read; the parser wants the list itself)
    *,
    out: Path,
    samples: int = 0,
    root: Root = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Show one checkpoint's answers side by side: unified, UPSNet's head, heuristic merger. With truth, also their scores.

    Args:
        images: Image files, or folders of them; or none, with --samples.
        out: Folder for a drawing of each image and, with truth, comparison.json.
        samples: Compare on so many of the run's held-out images, whose truth is known.
        root: The data set's folder for --samples, where it is not the one that the run was trained on.
        trim: Turn small stuff segments of every answer into void, by the run's own limit.
    """
    from unipan.recipes.compare import compare as recipe
    from unipan.recipes.images import check_all_read

    options = untrimmed_unless(trim, overrides)
    comparison = recipe(run, images, out, samples=samples, root=root, overrides=options, device=device)
    if as_json:
        print_json(comparison.to_json())
    else:
        print_all(comparison.table(), *comparison.sentences(), f"{out}: {plural(len(comparison.drawings), 'drawing')}.")
    check_all_read(comparison.unreadable)


def score(
    truth: Positional[Annotated[Path, arg(metavar="TRUTH")]],
    predictions: Positional[Annotated[Path, arg(metavar="ANSWERS")]],
    *,
    truth_dir: Path | None = None,
    predictions_dir: Path | None = None,
    merge: Merge = "none",
    part: Part = "",
    out: PartOut = None,
    merge_parts: MergeParts = [],  # noqa: B006 (only read)
    as_json: AsJson = False,
) -> None:
    """Panoptic quality and IoU of files in the COCO panoptic format; no model.

    Every image of the truth must have a prediction; further predictions are left out.

    Args:
        truth: JSON of the truth.
        predictions: JSON of the answers to score, as predict writes it.
        truth_dir: Folder of the truth's PNGs; without it, the one beside the JSON that bears its name.
        predictions_dir: Folder of the predictions' PNGs; likewise.
        merge: Merge the truth's classes as training did; a class's stuff in one image becomes one segment.
    """
    from unipan.recipes.parts import asked_part
    from unipan.recipes.score import read_sides
    from unipan.recipes.score import score as recipe
    from unipan.recipes.score_parts import merge_scores, score_part

    own = asked_part(part, out, merge_parts)
    files: dict[str, Any] = {"truth_dir": truth_dir, "predictions_dir": predictions_dir, "merge": merge}
    if own and out:
        print_all(_part_sentence(own, out, score_part(read_sides(truth, predictions, **files), own, out)))
        return
    merged = merge_scores(read_sides(truth, predictions, **files), merge_parts) if merge_parts else None
    report = merged or recipe(truth, predictions, **files)
    if as_json:
        print_json(report.to_json())
    else:
        print_all(report.class_table(), report.table(), report.size_table(), *report.error_tables())


def _part_sentence(part: "PartOf", out: Path, images: int) -> str:
    return f"{out}: part {part}, {plural(images, 'image')}. When all {part.count} are there, --merge-parts adds them."


def runs(folder: Positional[Path] = Path("runs"), *, as_json: AsJson = False) -> None:
    """List the runs below a folder: the settings in which they differ, how far they are, and their scores.

    Args:
        folder: Where to look.
    """
    from unipan.recipes.runs import list_runs

    found = list_runs(folder)
    if as_json:
        print_json(found.to_json())
    else:
        print_all(*([found.table()] if found.rows else []), *found.sentences())
