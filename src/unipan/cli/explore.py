"""`unipan explore`: what a network predicts for images, as a page to move about in."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from unipan.choices import PanopticHead
from unipan.cli.options import DeviceName, Overriding, Root, Run, Unset, print_all, untrimmed_unless
from unipan.errors import plural
from unipan.overrides import NO_OVERRIDES


def explore(
    run: Positional[Run],
    images: Positional[list[Path]] = [],  # noqa: B006 (only read; the parser wants the list itself)
    *,
    out: Annotated[Path, arg(metavar="FILE.html")],
    samples: int = 0,
    truth: Annotated[Path | None, Unset] = None,
    root: Root = None,
    head: PanopticHead | None = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    device: DeviceName = "auto",
) -> None:
    """Make one page of images and all that the network predicts for them: its affinity follows the pointer.

    The page needs no server and no network; about 10 MB for an image of 2 megapixels.

    Args:
        images: Image files, or folders of them; or none, with --samples.
        out: The page.
        samples: How many of the run's held-out images to explore, with their truth.
        truth: A panoptic JSON, with its PNG folder beside it, that has the images' truth.
        root: The data set's folder for --samples, where it is not the one that the run was trained on.
        head: The way to the answer, where it is not the one trained for.
        trim: Turn small stuff segments into void, by the run's own limit.
    """
    from unipan.recipes.explore import explore_run
    from unipan.recipes.images import check_all_read

    options = untrimmed_unless(trim, overrides)
    found = explore_run(run, images, out, samples=samples, truth=truth, root=root, head=head, overrides=options, device=device)
    megabytes = found.path.stat().st_size / 1e6
    print_all(f"Open {found.path} in a browser: {plural(found.images, 'image')}, {megabytes:.1f} MB.")
    check_all_read(found.unreadable)
