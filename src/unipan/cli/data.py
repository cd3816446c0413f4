"""`unipan doctor`, `unipan inspect` and `unipan interchange`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from unipan.choices import Form
from unipan.cli.options import AsJson, Settings, print_all, print_json
from unipan.errors import InputError, plural

if TYPE_CHECKING:
    from unipan.tools.doctor.run import Examination


def doctor(
    data: Positional[list[Path]],
    *,
    images: list[Path] = [],  # noqa: B006 (only read, as those below; the parser wants the lists themselves)
    masks: list[Path] = [],  # noqa: B006
    split: list[str] = [],  # noqa: B006
    preset: str = "finetune",
    fix: bool = False,
    out: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Look for everything that is wrong with a data set, and say how to mend it. Exit status 1: something would break training.

    Args:
        data: The folder of a data set in COCO's panoptic layout, or of Cityscapes; or panoptic JSONs, the training set first.
        images: Folder of the JSONs' images, one for all or one each; needed where they do not lie as COCO's do.
        masks: Folder of the JSONs' PNGs, likewise; without it, the folder beside a JSON that bears its name.
        split: Look at these splits only.
        preset: Say what training with this preset would lose of the data, and which options mend it.
        fix: Write a mended copy of the labels into --out; the exit status is then the copy's.
        out: A new folder for the mended copy.
    """
    from unipan.tools.doctor.run import NotMended
    from unipan.tools.doctor.run import doctor as examine

    if fix != (out is not None):
        raise InputError("--fix and --out DIR belong together: the mended copy needs a folder of its own.")
    try:
        found = examine(data, images=images, masks=masks, split=split, preset=preset, fix_into=out)
    except NotMended as refusal:
        _print_examination(refusal.found, as_json)
        raise
    _print_examination(found, as_json)
    sys.exit(0 if found.trainable else 1)


def _print_examination(found: "Examination", as_json: bool) -> None:
    from unipan.console import logger

    if not as_json:
        print_all(*found.report())
        return
    for sentence in found.copied:
        logger.info(sentence)
    print_json(found.to_json())


def inspect(config: Settings, *, out: Path, samples: int = 12, names: bool = True) -> None:
    """Draw the first training samples, after augmentation, with their truth.

    Args:
        config: Every setting of the run, as for train.
        out: The image file to write.
        samples: How many; another --train.seed gives others.
        names: Write each segment's class where there is room for it.
    """
    from unipan.recipes.inspection import inspect_samples

    print_all(inspect_samples(config, out, samples=samples, names=names))


def interchange(
    form: Positional[Form], panoptic: Positional[Path], *, out: Path, panoptic_dir: Path | None = None, image_prefix: str = ""
) -> None:
    """Write panoptic files, such as what predict wrote, in another tool's form; every pixel and every hole is kept.

    coco-instances: instances.json with run lengths, for CVAT, FiftyOne and Datumaro. label-studio: tasks.json with brush labels.
    labelme, geojson: a file for each image.

    Args:
        form: Whose form.
        panoptic: JSON in the COCO panoptic format.
        out: Folder for what is written.
        panoptic_dir: Folder of its PNGs; without it, the one beside the JSON that bears its name.
        image_prefix: Before the images' names in label-studio's tasks, as in /data/local-files/?d=images/.
    """
    from unipan.recipes.interchange import write_form

    written = write_form(form, panoptic, out, folder=panoptic_dir, image_prefix=image_prefix)
    print_all(f"{plural(written.images, 'image')}, {plural(written.segments, 'segment')}: in {out}.")
