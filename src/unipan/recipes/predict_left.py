"""What a call of `predict` with `--skip-done` has left to do behind an earlier one."""

from collections.abc import Callable, Sequence

from unipan.addresses import Address, Location, absolute, below, files_below, is_file, remove
from unipan.console import logger
from unipan.data.cityscapes_labels import image_id_of
from unipan.data.coco_json import listing
from unipan.data.coco_writer import png_of
from unipan.data.prediction_log import PredictionLog
from unipan.errors import InputError
from unipan.recipes.predict_image import ImageJob


def left_to_predict(log: PredictionLog, jobs: Sequence[ImageJob], out: Location, *, given_ids: bool) -> list[ImageJob]:
    """Images not done, or changed since, for which the JSON of before goes.

    An image has another id, its name, where one that is done has its number, unless ids are given. What is done keeps its name:
    as folders grow, further images may need more of their folders to be told apart.
    """
    left: list[ImageJob] = []
    again: dict[str, list[str]] = {"the files have changed since": [], "their PNGs are gone": []}
    changed, gone = again.values()
    is_written = _written(out) if log.done else bool
    for job in jobs:
        source = absolute(job.source)
        before = log.done.get(str(source))
        if before is not None:
            is_changed = log.is_changed(source)
            if not is_changed and is_written(png_of(before.name)):
                continue
            (changed if is_changed else gone).append(log.forget(source).name)
        before = log.forgotten.get(str(source))
        if before is not None:
            left.append(job._replace(name=before.name, image_id=before.id))
        else:
            log.check_free(job.name, source)
            other = None if given_ids else image_id_of(job.name)
            left.append(job._replace(image_id=log.free_id(job.image_id, other)))
    if changed or gone:
        remove_json(out)
        for why, some in again.items():
            if some:
                logger.info(f"predicted again, because {why}: {listing(some)}")
    return left


def _written(out: Location) -> Callable[[str], bool]:
    """Whether a PNG of an earlier call is there, and not empty as a power cut may leave it."""
    folder = below(out, "panoptic")
    if isinstance(folder, Address):
        there = {str(file) for file in files_below(folder)}
        return lambda png: folder.below(png) in there
    return lambda png: is_file(folder / png) and (folder / png).stat().st_size > 0


def remove_json(out: Location) -> None:
    """Of an earlier call, or it would stand over PNGs of this one."""
    file = below(out, "panoptic.json")
    try:
        if isinstance(file, Address):
            remove([file] if is_file(file) else [])
        else:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot replace {file}: {error.strerror}. Name another --out.") from error
