"""The images that a verb looks at: files and folders, or held-out images of a run."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from torch import Tensor

from unipan.addresses import Location, absolute, here, named
from unipan.checkpoint import open_run
from unipan.console import counted, logger
from unipan.data.coco_json import listing
from unipan.data.image_ids import names_apart, shown, unfit
from unipan.data.image_paths import FoundFiles
from unipan.data.image_patterns import NO_IMAGE, base_of, find_images
from unipan.errors import InputError, plural, whole_number
from unipan.ops.image_range import read_and_warn
from unipan.ops.images import is_file, no_file
from unipan.recipes.evaluate import evaluated, held_out
from unipan.types import PanopticMap

AnyLocation = TypeVar("AnyLocation", bound=Location)


class Entry(NamedTuple):
    """An image to look at."""

    name: str
    pixels: Tensor  # (3, H, W) uint8
    truth: PanopticMap | None


def check_either(images: Sequence[Path], samples: int, root: str | None) -> None:
    """Raises: InputError unless images are named or so many held-out ones are asked for, whose data set is at `root`."""
    if bool(images) == bool(samples) or whole_number("samples", samples, lowest=-sys.maxsize) < 0:
        came = f"{plural(len(images), 'image path')} and --samples {samples}"
        raise InputError(f"{came} came; name images, or give --samples above 0.")
    if root is not None and not samples:
        raise InputError("--data.root names a data set, but only --samples reads one; give --samples, or leave it out.")


def held_out_entries(run: str, samples: int, what: str, *, root: str | None = None) -> Iterator[Entry]:
    """The first `samples` held-out images of a run, with their truth. what: is done to them. root: as in `evaluated`."""
    dataset = held_out(run, evaluated(open_run(run)[1].data, root=root))
    if samples > len(dataset):
        raise InputError(f"--samples is {samples}, but the run has {len(dataset)} held-out images; ask for at most so many.")
    found = (dataset[index] for index in counted(range(samples), what, samples))
    return (Entry(sample.file_name, sample.image, sample.truth) for sample in found)


def image_files(paths: Sequence[Path], out: Path | None) -> list[Path]:
    """The files named, those that a pattern fits and those in the folders named or fit, in order, of all levels; none twice.

    What is left out is told. Patterns are those of `find_images`: a shell leaves them as they are where they stand in quotes.
    out: where results go, if that is a folder here.

    Raises: InputError for a folder or a pattern without images, a file that is not there, and `out` for a folder of images.
    """
    if not paths:
        raise InputError("no image is named; name at least one file, or a folder of them.")
    files: dict[str, Path] = {}
    for path in map(here, paths):
        found = find_images(path)
        if found is None and not is_file(path):
            raise no_file(path)
        for file in [path] if found is None else _without_results(path, found, out):
            files.setdefault(str(absolute(file)), file)
    return list(files.values())


def _without_results(asked: Path, found: FoundFiles, out: Path | None) -> list[Path]:
    """What was found for a name, but for results of a former call; what is left out is told."""
    real, results = base_of(asked).resolve(), out and out.resolve()
    if real == results:
        raise InputError(f"{asked} is both where images are and where results go; name another --out.")
    inside = results and not real.is_relative_to(results)  # with `--out .` all images lie below it
    paths = [path for path in found.paths if not inside or results not in path.resolve().parents]
    left_out = [f"{len(found.paths) - len(paths)} in {out}, where results go"] if len(paths) < len(found.paths) else []
    left_out += [found.left_out] if found.left_out else []
    if left_out:
        logger.info(f"{asked}: {plural(len(paths), 'image')}; left out: {', '.join(left_out)}")
    if not paths:
        raise InputError(NO_IMAGE.format(asked))
    return paths


def fit_to_name_after(files: Sequence[AnyLocation], around: str) -> tuple[list[AnyLocation], list[AnyLocation]]:
    """The files that results can be named after, and the others, which are told. around: as in `unfit`."""
    fit: list[AnyLocation] = []
    others: list[AnyLocation] = []
    for file, name in zip(files, names_apart([*map(named, files)]), strict=True):
        fault = unfit(name, around)
        if fault:
            logger.warning(f"left out: {shown(file)}: {fault}; rename the file.")
        (others if fault else fit).append(file)
    return fit, others


def readable(files: Sequence[Path], what: str, unreadable: list[Path]) -> Iterator[tuple[int, Tensor]]:
    """Read images one by one: (index, pixels). One that can't be read is told at once, added to `unreadable` and passed over."""
    for index, file in enumerate(counted(files, what, len(files))):
        try:
            pixels = read_and_warn(file)
        except InputError as error:
            logger.warning(f"left out: {error}")
            unreadable.append(file)
        else:
            yield index, pixels


def check_all_read(unreadable: Sequence[Location]) -> None:
    """Say at the end which images are missing from the results.

    Raises: InputError where there are any.
    """
    if unreadable:
        raise InputError(f"{plural(len(unreadable), 'image')} could not be read; left out: {listing(unreadable)}.")
