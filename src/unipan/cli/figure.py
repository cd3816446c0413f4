"""`unipan figure`: figures as in the paper."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from unipan.cli.options import DeviceName, Overriding, Root, Run, print_all, untrimmed_unless
from unipan.overrides import NO_OVERRIDES


def figure(
    run: Positional[Run],
    kind: Positional[Literal["methods", "affinity"]],
    *,
    out: Annotated[Path, arg(metavar="FILE.pdf")],
    ids: list[str] = [],  # noqa: B006 (only read)
    rows: int = 4,
    samples: int = 0,
    root: Root = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    device: DeviceName = "auto",
) -> None:
    """Draw a figure for a paper, of held-out images: the heads side by side, or affinities. Needs the extra `report`.

    Args:
        kind: methods: image, truth, every head's answer. affinity: image with boxes, truth, a marked pixel's affinity, answer.
        out: The figure, as .pdf, .svg or .png.
        ids: The images, by their ids; without them, those in which the run's own head gains or loses most PQ against another.
        rows: So many images, gains and losses by turns.
        samples: Choose from so many held-out images; 0 is all.
        root: The data set's folder, where it is not the one that the run was trained on.
        trim: Turn small stuff segments of every answer into void, by the run's own limit.
    """
    from unipan.recipes.figure import figure as recipe

    options = untrimmed_unless(trim, overrides)
    shown = recipe(run, kind, out, ids=ids, rows=rows, samples=samples, root=root, overrides=options, device=device)
    print_all(shown)
