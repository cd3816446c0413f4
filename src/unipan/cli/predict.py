"""`unipan predict`: what segments images and videos."""

import sys
from functools import partial
from pathlib import Path
from shutil import copyfileobj

from tyro.conf import Positional

from unipan.choices import OverlayForm
from unipan.cli.evaluate import Head
from unipan.cli.options import NO_TILES, AsJson, DeviceName, Overriding, Run, Tiles, print_all, untrimmed_unless
from unipan.errors import InputError, plural
from unipan.overrides import NO_OVERRIDES


def predict(
    run: Positional[Run],
    images: Positional[list[Path]],
    *,
    out: Path,
    head: Head = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    truth: Path | None = None,
    overlay: OverlayForm = "jpg",
    tiles: Tiles = NO_TILES,
    skip_done: bool = False,
    device: DeviceName = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment images: an overlay for each, and together panoptic.json and its PNG folder, in the COCO panoptic format.

    Of a video (extra `video`) or a camera's number: OUT/STEM_overlay.mp4; the same command goes on with one that was stopped.

    Images that can't be read are named and left out, with exit status 2 at the end.

    Args:
        images: Image files, or folders of them with all their levels.
        out: Folder for the results.
        head: The way to the answer, where it is not the one trained for.
        trim: Turn small stuff segments into void, by the run's own limit.
        truth: A JSON whose images have the ids to write; without it, whole numbers where file names are.
        overlay: What the overlays are written as, or none; PNG is exact, and takes half a second for 2 megapixels.
        skip_done: Go on behind what a call that was stopped has done.
    """
    from unipan.data.video import is_video
    from unipan.recipes.images import check_all_read
    from unipan.recipes.predict import predict as recipe
    from unipan.recipes.predict import segment_table
    from unipan.recipes.video import predict_video

    options = untrimmed_unless(trim, overrides)
    tile = tiles.size()
    if any(map(is_video, images)):
        if len(images) > 1 or truth or as_json or overlay == "none" or tile:
            raise InputError(
                f"{images[0]}: a video comes alone, without --truth, --json, --tile and --overlay none; call once for each."
            )
        print_all(predict_video(run, images[0], out, head=head, overrides=options, device=device).sentence)
        return
    predicted = partial(recipe, head=head, overrides=options, truth=truth, overlay_form=overlay, tile=tile)
    found = predicted(run, images, out, skip_done=skip_done, device=device)
    if as_json:
        with (out / "panoptic.json").open() as file:
            copyfileobj(file, sys.stdout)
        print()
    else:
        found_in = f"{plural(found.images, 'image')}, {plural(found.segments, 'segment')}"
        drawn = "" if overlay == "none" else "overlays, "
        summary = f"{found_in}: {drawn}panoptic.json and panoptic/ are in {out}."
        tables = [segment_table(*found.last)] if found.images == 1 and found.last else []
        print_all(*tables, *found.sentences(), summary)
    check_all_read(found.unreadable)
