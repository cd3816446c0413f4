"""`unipan convert FORM`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from unipan.choices import Faulty as FaultyData
from unipan.cli.options import print_all

if TYPE_CHECKING:
    from unipan.tools.convert.report import Part

Out = Annotated[Path, arg(help="Folder for annotations/panoptic_SPLIT.json and its PNGs; images are not copied.")]
Split = Annotated[str, arg(help="Name of the split that is written.")]
ValShare = Annotated[float, arg(help="Hold out this share of the images: writes train and val.")]
Seed = Annotated[int, arg(help="Draws the held-out images.")]
Ignore = Annotated[list[int], arg(help="Numbers in the semantic PNGs that mean unlabelled.")]
Faulty = Annotated[
    FaultyData,
    arg(help="What can't be used of images and annotations: stop counts it and writes nothing, skip leaves it out, counted."),
]
Clip = Annotated[bool, arg(help="Cut shapes at the image's border instead of refusing those that reach outside.")]


def cityscapes(
    root: Positional[Path], *, out: Out, split: Literal["train", "val", "all"] = "all", faulty: Faulty = "stop"
) -> None:
    """Cityscapes' download, as the official createPanopticImgs does it, in label ids.

    Training reads the download itself; this is for other programs.

    Args:
        root: Folder with leftImg8bit/ and gtFine/.
        split: all: those of train and val that are unpacked.
    """
    from unipan.data.build import remarks
    from unipan.tools.convert.cityscapes import CityscapesSource, splits_with_truth
    from unipan.tools.convert.report import Part

    sources = {name: CityscapesSource(root, name) for name in (splits_with_truth(root) if split == "all" else [split])}
    _convert([Part(name, source, range(len(source.file_names))) for name, source in sources.items()], out, faulty)
    print_all(*(f"{name}: {remark}" for name, source in sources.items() for remark in remarks(source.samples)))


def instances(
    json: Positional[Path],
    *,
    images: Path,
    out: Out,
    semantic: Path | None = None,
    stuff: Path | None = None,
    background: str | None = None,
    ignore: Ignore = [255],  # noqa: B006 (only read)
    overlap: Literal["small", "order"] = "small",
    unclaimed: Literal["void", "crowd"] = "void",
    clip: Clip = False,
    split: Split = "train",
    val_share: ValShare = 0.0,
    seed: Seed = 0,
    faulty: Faulty = "stop",
) -> None:
    """COCO instance JSON (polygons, RLE), with semantic PNGs for what lies around the instances.

    Categories of the JSON are things; stuff lies below crowds, and crowds below things.

    Args:
        json: The instance JSON.
        images: Folder of the images that the JSON names.
        semantic: Folder of PNGs STEM.png whose numbers are class ids, those of the JSON or of --stuff.
        stuff: JSON list of the stuff classes, [{"id": 20, "name": "sky"}]; categories of the instance JSON may be among them, and
            classes marked "isthing": 1 are passed over.
        background: Without semantic PNGs: a stuff class for all that is no instance, which is void otherwise.
        overlap: Which of two overlapping things gets the pixels. small: the one of the smaller area. order: the later one.
        unclaimed: What becomes of a semantic PNG's thing pixels without an instance (polygons and maps never meet exactly).
    """
    from unipan.tools.convert.instances import InstanceSource
    from unipan.tools.convert.run import parts_of
    from unipan.tools.convert.source import read_categories

    source = InstanceSource(
        json,
        images,
        semantic=semantic,
        stuff=read_categories(stuff) if stuff else [],
        background=background,
        ignore=ignore,
        overlap=overlap,
        unclaimed=unclaimed,
        clip=clip,
    )
    _convert(parts_of(source, split=split, val_share=val_share, seed=seed), out, faulty)


def pairs(
    semantic: Positional[Path],
    instances: Positional[Path],
    *,
    classes: Path,
    images: Path,
    out: Out,
    ignore: Ignore = [255],  # noqa: B006 (only read)
    unclaimed: Literal["crowd", "void"] = "crowd",
    split: Split = "train",
    val_share: ValShare = 0.0,
    seed: Seed = 0,
    faulty: Faulty = "stop",
) -> None:
    """Two folders of 8- or 16-bit PNGs, class numbers and instance numbers (0: no instance), named STEM.png like the images.

    Args:
        semantic: Folder of the class numbers.
        instances: Folder of the instance numbers, unique in an image or in a class of it; those of stuff count for nothing.
        classes: JSON list of the classes, [{"id": 1, "name": "car", "isthing": 1}].
        images: Folder of the images.
        unclaimed: What becomes of thing pixels without an instance.
    """
    from unipan.classes import ClassTable
    from unipan.tools.convert.pairs import PairSource
    from unipan.tools.convert.run import parts_of
    from unipan.tools.convert.source import read_categories

    table = ClassTable.from_categories(read_categories(classes))
    source = PairSource(semantic, instances, images, classes=table, ignore=ignore, unclaimed=unclaimed)
    _convert(parts_of(source, split=split, val_share=val_share, seed=seed), out, faulty)


def labelme(
    folder: Positional[Path],
    *,
    out: Out,
    images: Path | None = None,
    things: list[str] = [],  # noqa: B006 (only read)
    classes: Path | None = None,
    ignore: list[str] = [],  # noqa: B006 (only read)
    background: str | None = None,
    clip: Clip = False,
    split: Split = "train",
    val_share: ValShare = 0.0,
    seed: Seed = 0,
    faulty: Faulty = "stop",
) -> None:
    """Labelme's JSON files: polygons, rectangles and circles; the later shape lies on top, one group_id is one instance.

    Args:
        folder: Folder of the JSON files.
        images: Folder of the images, where it is not the same.
        things: Labels of countable objects; all other labels are stuff.
        classes: Instead of --things, a JSON list of the classes, [{"id": 1, "name": "car", "isthing": 1}].
        ignore: Labels whose shapes become void.
        background: A stuff class for pixels without a shape, which are void otherwise.
    """
    from unipan.tools.convert.labelme import LabelmeSource, classes_of_labels, read_labelme
    from unipan.tools.convert.run import parts_of

    content = read_labelme(folder)
    table = classes_of_labels(content, classes=classes, things=things, ignore=ignore, background=background)
    source = LabelmeSource(content, images or folder, classes=table, ignore=ignore, background=background, clip=clip)
    _convert(parts_of(source, split=split, val_share=val_share, seed=seed), out, faulty)


def shards(
    json: Positional[Path],
    *,
    images: Path,
    out: str,
    masks: Path | None = None,
    per_shard: int = 1000,
    split: str = "",
) -> None:
    """A COCO panoptic JSON with its images as tar shards, which `--data.source shards` and WebDataset's readers read.

    Args:
        json: The panoptic JSON; Cityscapes and others become one by the other forms.
        images: Folder of the images that the JSON names.
        out: Folder or address (s3://BUCKET/FOLDER) for SPLIT-000000.tar ... and the index SPLIT.json.
        masks: Folder of the PNGs, where it is not the one beside the JSON that bears its name.
        per_shard: Samples in a tar.
        split: Name of the index and the tars; without it, the JSON's without panoptic_.
    """
    from unipan.addresses import location_of
    from unipan.data.coco import json_set
    from unipan.tools.convert.shards import write_shards

    dataset = json_set(json, images, masks, merge="none")
    index = write_shards(dataset, location_of(out), split or json.stem.removeprefix("panoptic_"), per_shard=per_shard)
    print_all(f"{index}: {len(dataset)} samples, {per_shard} in a tar. Train with --data.source shards --data.root {out}")


def _convert(parts: "Sequence[Part]", out: Path, faulty: Faulty) -> None:
    from unipan.tools.convert.report import sentences, summary
    from unipan.tools.convert.run import convert

    counts = convert(parts, out, faulty=faulty)
    print_all(summary(counts), *sentences(counts, parts, out))
