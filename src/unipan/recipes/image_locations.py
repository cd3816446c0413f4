"""Images by path and by address alike."""

from collections.abc import Sequence
from pathlib import Path

from unipan.addresses import Address, Location, absolute, files_below, is_file
from unipan.console import logger
from unipan.data.image_paths import is_hidden
from unipan.data.nearby import image_suffixes
from unipan.errors import InputError, plural
from unipan.recipes.images import image_files


def image_locations(wanted: Sequence[Location], out: Location) -> list[Location]:
    """The files named, and those in the folders named, in order, of all levels; none twice, as `image_files` says of paths."""
    folder = out if isinstance(out, Path) else None
    if all(isinstance(one, Path) for one in wanted):
        return [*image_files([one for one in wanted if isinstance(one, Path)], folder)]
    found: dict[str, Location] = {}
    for one in wanted:
        for file in image_files([one], folder) if isinstance(one, Path) else _images_at(one, out):
            found.setdefault(str(absolute(file)), file)
    return list(found.values())


def _images_at(address: Address, out: Location) -> list[Address]:
    """The file of an address, or the images below it; results of a former call are none of them."""
    if is_file(address):
        return [address]
    results = out if isinstance(out, Address) and out.is_in(address) else None
    if results and address.is_in(results):
        raise InputError(f"{address} is both where images are and where results go; name another --out.")
    found, suffixes = files_below(address), image_suffixes()
    images = [
        file
        for file in found
        if file.path.suffix.lower() in suffixes
        and not any(map(is_hidden, file.path.relative_to(address.path).parts))
        and not (results and file.is_in(results))
    ]
    if len(images) < len(found):
        logger.info(f"{address}: {plural(len(images), 'image')}; left out: {plural(len(found) - len(images), 'other file')}")
    if not images:
        raise InputError(f"there is no image {address}, nor one below it; check the address.")
    return images
