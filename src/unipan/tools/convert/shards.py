"""A COCO panoptic set as tar shards with an index: what `data.shards` reads, and WebDataset's readers too."""

import hashlib
import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tarfile import BLOCKSIZE, USTAR_FORMAT, TarFile, TarInfo

from unipan.addresses import Location, below, is_file, named, written_to
from unipan.console import counted
from unipan.data.coco import CocoPanoptic
from unipan.data.coco_writer import annotation_of
from unipan.data.shards import VERSION, SampleEntry, ShardIndex, Span
from unipan.errors import InputError
from unipan.files import make_folder, write_json

LONGEST_SUFFIX = 16
"""Bytes, with its dot; a tar's plain header has room for a name of a hundred."""


def write_shards(dataset: CocoPanoptic, out: Location, split: str, *, per_shard: int) -> Location:
    """Write out/SPLIT-000000.tar ... of `per_shard` samples each and, when all are there, out/SPLIT.json. Returns that.

    Every sample is read once as training reads it, so that what is faulty is named here. Before an address gets a shard, that one
    lies on this machine's disk.
    Raises: InputError for a faulty sample, and where the index is there already.
    """
    if per_shard < 1:
        raise InputError(f"--per-shard is {per_shard}; a tar holds one sample or more.")
    if not split.isidentifier():
        raise InputError(f"--split {split!r} came; a split's name is letters, digits and underscores, as in train or val.")
    path = below(out, f"{split}.json")
    if is_file(path):
        raise InputError(f"{path} is there already; name another --out or --split, or remove it and its tars.")
    samples, truth = list[SampleEntry](), hashlib.sha256()
    for start in counted(range(0, len(dataset), per_shard), f"shards of {split}", -(-len(dataset) // per_shard)):
        name = f"{split}-{start // per_shard:06d}.tar"
        with written_to(out) as folder:
            make_folder(folder)
            samples += _write_tar(folder / name, dataset, range(start, min(start + per_shard, len(dataset))), truth)
    index = ShardIndex(
        version=VERSION, categories=dataset.classes.to_categories(), samples=samples, truth_sha256=truth.hexdigest()
    )
    with written_to(out) as folder:
        write_json(folder / named(path).name, asdict(index), indent=None)
    return path


def _write_tar(path: Path, dataset: CocoPanoptic, indices: range, truth: "hashlib._Hash") -> list[SampleEntry]:
    """truth: what the samples' PNGs and annotations are added to."""
    entries = []
    try:
        with TarFile.open(path, "w", format=USTAR_FORMAT) as tar:
            for index in indices:
                key, sample = f"{index:09d}", dataset[index]
                height, width = sample.truth.ids.shape
                annotation = annotation_of(
                    sample.truth, dataset.classes, image_id=sample.image_id, file_name=sample.file_name, scores=False
                )
                text = json.dumps({**annotation, "width": width, "height": height}).encode()
                png = dataset.png_path(index).read_bytes()
                truth.update(png + text)
                entry = SampleEntry(
                    shard=path.name,
                    key=key,
                    image=_add(tar, key + _image_end(sample.file_name), dataset.image_path(index).read_bytes()),
                    png=_add(tar, f"{key}.png", png),
                    json=_add(tar, f"{key}.json", text),
                )
                entries.append(entry)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; free some room, or name another --out.") from error
    return entries


def _image_end(file_name: str) -> str:
    """How the image's member ends: as its file, but where that would be taken for the truth, or is too long for a suffix."""
    suffix = Path(file_name).suffix.lower()
    if len(suffix.encode(errors="surrogateescape")) > LONGEST_SUFFIX:
        suffix = ""
    return f".image{suffix}" if suffix in ("", ".png", ".json") else suffix


def _add(tar: TarFile, name: str, content: bytes) -> Span:
    """Add a member, the same bytes at any time; where its content lies. A name of this form takes one block before it."""
    info = TarInfo(name)
    info.size, start = len(content), tar.offset + BLOCKSIZE
    tar.addfile(info, BytesIO(content))
    return start, len(content)
