"""`unipan predict`: what segments images and videos."""

import sys
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional

from unipan.choices import OverlayForm, PanopticHead
from unipan.cli.options import NO_TILES, AsJson, DeviceName, Overriding, Run, Tiles, Unset, print_all, untrimmed_unless
from unipan.errors import InputError, plural
from unipan.overrides import NO_OVERRIDES

if TYPE_CHECKING:
    from unipan.addresses import Location
    from unipan.recipes.predict import Predictions

Engine = Literal["here", "ray"]
VIDEO_ALONE = (
    "a video comes alone, without --truth, --json, --tile, --overlay none and --engine ray, into a folder of this machine; call "
    "once for each."
)


def predict(
    run: Positional[Run],
    images: Positional[list[str]],
    *,
    out: str,
    head: PanopticHead | None = None,
    trim: bool = True,
    overrides: Overriding = NO_OVERRIDES,
    truth: Annotated[Path | None, Unset] = None,
    overlay: OverlayForm = "jpg",
    tiles: Tiles = NO_TILES,
    skip_done: bool = False,
    device: DeviceName = "auto",
    engine: Engine = "here",
    ray_predictors: int = 0,
    ray_gpus: float = 0.0,
    as_json: AsJson = False,
) -> None:
    """Segment images: an overlay for each, and together panoptic.json and its PNG folder, in the COCO panoptic format.

    Of a video (extra `video`) or a camera's number: OUT/STEM_overlay.mp4; the same command goes on with one that was stopped.

    Images that can't be read are named and left out, with exit status 2 at the end.

    Args:
        images: Image files, or folders, searched with all subfolders; also by address, as s3://BUCKET/FOLDER (extra `cloud`).
        out: Folder for the results, or the address of one.
        head: The way to the answer, where it is not the one trained for.
        trim: Turn small stuff segments into void, by the run's own limit.
        truth: A JSON whose images have the ids to write; without it, whole numbers where file names are.
        overlay: The overlays' form, or none; PNG is exact, but slow. Images of up to 320 pixels are drawn enlarged, videos not.
        skip_done: Skip images that an earlier call, which was stopped, has finished.
        engine: Where images are predicted: here, one by one, or by Ray on this machine or a cluster (extra `ray`).
        ray_predictors: How many of Ray's processes predict; 0: as many as there is room for.
        ray_gpus: GPUs for each of them; 0.5 puts two on one. 0: each computes on one processor.
    """
    from unipan.addresses import Address, location_of
    from unipan.data.video import is_video
    from unipan.recipes.images import check_all_read
    from unipan.recipes.predict import predict as recipe
    from unipan.recipes.predict_ray import RayOptions
    from unipan.recipes.video import predict_video

    options, locations, folder = untrimmed_unless(trim, overrides), [*map(location_of, images)], location_of(out)
    ray = RayOptions(predictors=ray_predictors, gpus=ray_gpus) if engine == "ray" else None
    if ray is None and (ray_predictors or ray_gpus):
        raise InputError("--ray-predictors and --ray-gpus are of --engine ray; add it.")
    videos = [one for one in locations if isinstance(one, Path) and is_video(one)]
    if videos:
        if len(locations) > 1 or truth or as_json or overlay == "none" or tiles.size() or ray or isinstance(folder, Address):
            raise InputError(f"{videos[0]}: {VIDEO_ALONE}")
        print_all(predict_video(run, videos[0], folder, head=head, overrides=options, device=device).sentence)
        return
    written: dict[str, Any] = {"truth": truth, "overlay_form": overlay, "tile": tiles.size(), "skip_done": skip_done}
    found = recipe(run, locations, folder, head=head, overrides=options, device=device, ray=ray, **written)
    if as_json:
        _print_content(folder)
    else:
        _print_summary(found, out, overlay)
    check_all_read(found.unreadable)


def _print_summary(found: "Predictions", out: str, overlay: OverlayForm) -> None:
    from unipan.recipes.predict import segment_table

    found_in = f"{plural(found.images, 'image')}, {plural(found.segments, 'segment')}"
    drawn = "" if overlay == "none" else "overlays, "
    tables = [segment_table(*found.last)] if found.images == 1 and found.last else []
    print_all(*tables, *found.sentences(), f"{found_in}: {drawn}panoptic.json and panoptic/ are in {out}.")


def _print_content(folder: "Location") -> None:
    from unipan.addresses import Address, read_bytes

    if isinstance(folder, Address):
        print(read_bytes(folder.below("panoptic.json")).decode())
        return
    with (folder / "panoptic.json").open() as file:
        copyfileobj(file, sys.stdout)
    print()
