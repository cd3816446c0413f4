"""Tar shards: what the folder holds, read from anywhere, and by WebDataset's own reader."""

import json
from collections.abc import Callable
from pathlib import Path
from tarfile import TarFile
from typing import Any

import pytest
import torch
from PIL import Image

from unipan.addresses import Address, location_of
from unipan.choices import Merge
from unipan.cli import main
from unipan.data.coco import CocoPanoptic, coco_split
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.dataset import PanopticDataset
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.shards import Shards
from unipan.errors import InputError
from unipan.tools.convert.shards import write_shards

SCENES = SceneDataset(difficulty="standard", size=(48, 64), seed=5, length=5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five scenes in COCO's layout, JPEGs and PNGs, one in a subfolder, with the id of no number."""
    root = tmp_path_factory.mktemp("coco")
    (root / "mini" / "deep").mkdir(parents=True)
    entries = []
    for number, name in enumerate(("a.jpg", "b.png", "deep/c.v2.JPG", "d.jpeg", "e.jpg")):
        sample = SCENES[number]
        Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(root / "mini" / name)
        entries.append(Entry(name if number == 1 else number, name, sample.truth))
    names = {"json_name": "panoptic_mini.json", "png_folder": "panoptic_mini"}
    write_panoptic(root / "annotations", entries, SCENES.classes, **names, scores=False)
    return root


def convert(root: Path, out: Path | Address) -> None:
    write_shards(coco_split(root, "mini", merge="none"), out, "mini", per_shard=2)


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    convert(root, tmp_path / "shards")
    return tmp_path / "shards"


def check_equal(ours: PanopticDataset, theirs: CocoPanoptic) -> None:
    assert (len(ours), ours.classes) == (len(theirs), theirs.classes)
    for index in (3, 0, 4, 1, 2, -1):
        mine, its = ours[index], theirs[index]
        assert torch.equal(mine.image, its.image)
        assert torch.equal(mine.truth.ids, its.truth.ids)
        assert (mine.truth.segments, mine.image_id, mine.file_name) == (its.truth.segments, its.image_id, its.file_name)


@pytest.mark.parametrize("merge", ["none", "supercategory"])
def test_shards_read_as_the_folder_does(root: Path, folder: Path, merge: Merge) -> None:
    check_equal(Shards(folder, "mini", merge=merge), coco_split(root, "mini", merge=merge))
    names = ["mini-000000.tar", "mini-000001.tar", "mini-000002.tar", "mini.json"]
    assert sorted(path.name for path in folder.iterdir()) == names


def test_a_bucket_is_read_by_ranges(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory")
    monkeypatch.setattr(memory.MemoryFileSystem, "store", {})
    convert(root, Address("memory://bucket/set"))
    sent = memory.MemoryFileSystem.store
    assert {name.rpartition("/")[2]: file.getvalue() for name, file in sent.items()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    shards, read, cat = Shards(location_of("memory://bucket/set"), "mini", merge="none"), [], memory.MemoryFileSystem.cat_file

    def noting(self: Any, path: str, start: int | None = None, end: int | None = None, **further: Any) -> bytes:
        content = cat(self, path, start=start, end=end, **further)
        read.append((path, len(content)))
        return content

    monkeypatch.setattr(memory.MemoryFileSystem, "cat_file", noting)
    check_equal(shards, coco_split(root, "mini", merge="none"))
    assert len(read) == 6
    assert all(size < len(sent[path].getvalue()) for path, size in read)


def test_webdataset_reads_the_tars(root: Path, folder: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is missing: pip install 'unipan[dev]'")
    content = json.loads((root / "annotations" / "panoptic_mini.json").read_text())
    tars = [str(path) for path in sorted(folder.glob("*.tar"))]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False))
    ends = ["jpg", "image.png", "jpg", "jpeg", "jpg"]
    assert len(samples) == len(ends)
    for sample, end, image, annotation in zip(samples, ends, content["images"], content["annotations"], strict=True):
        assert sample[end] == (root / "mini" / image["file_name"]).read_bytes()
        assert sample["png"] == (root / "annotations" / "panoptic_mini" / annotation["file_name"]).read_bytes()
        size = {"width": image["width"], "height": image["height"]}
        assert json.loads(sample["json"]) == annotation | {"file_name": image["file_name"]} | size


def test_what_only_looks_like_a_suffix_may_be_long(tmp_path: Path) -> None:
    """A dot in the middle of a name, as of a date or a version."""
    sample, name = SCENES[0], "v1." + "n" * 120
    Image.fromarray(sample.image.permute(1, 2, 0).numpy()).save(tmp_path / name, format="PNG")
    entries = [Entry(1, name, sample.truth)]
    names = {"json_name": "panoptic_mini.json", "png_folder": "panoptic_mini"}
    path = write_panoptic(tmp_path, entries, SCENES.classes, **names, scores=False)
    main(["convert", "shards", str(path), "--images", str(tmp_path), "--out", str(tmp_path / "out")])
    with TarFile.open(tmp_path / "out" / "mini-000000.tar") as tar:
        assert tar.getnames()[0] == "000000000.image"
    assert torch.equal(Shards(tmp_path / "out", "mini", merge="none")[0].image, sample.image)


def test_nothing_is_overwritten(root: Path, folder: Path) -> None:
    with pytest.raises(InputError, match=r"mini\.json is there already"):
        convert(root, folder)


FAULTS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda c: c.pop("samples"), "is not an index of shards: at samples: Field required"),
    (lambda c: c.update(version=2), "version 2, and 1 is read here"),
    (lambda c: c["samples"].clear(), "has no samples"),
    (lambda c: c["samples"][1].update(shard="../mini-000000.tar"), r"tars outside its folder: \.\./mini-000000\.tar"),
    (lambda c: c["samples"][1].update(image=[0, 10**15]), "don't lie one behind the other in samples 000000001"),
    (lambda c: c["categories"][0].pop("name"), r"mini\.json: category .* lacks name"),
]


@pytest.mark.parametrize(("change", "complaint"), FAULTS)
def test_a_damaged_index_is_refused(folder: Path, change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    index = json.loads((folder / "mini.json").read_text())
    change(index)
    (folder / "mini.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=complaint):
        Shards(folder, "mini", merge="none")


def test_damaged_tars_are_named(folder: Path) -> None:
    shards, tar = Shards(folder, "mini", merge="none"), folder / "mini-000000.tar"
    whole, entry = tar.read_bytes(), json.loads((folder / "mini.json").read_text())["samples"][1]
    tar.write_bytes(whole[: entry["json"][0] + 5])
    assert shards[0].image_id == 0
    with pytest.raises(InputError, match=r"mini-000000\.tar is cut off: of sample 1"):
        shards[1]
    complaints = {"image": "cannot read the image", "png": "cannot read the panoptic PNG", "json": "annotation"}
    for member, complaint in complaints.items():
        offset, size = entry[member]
        tar.write_bytes(whole[:offset] + bytes(size) + whole[offset + size :])
        with pytest.raises(InputError, match=f"mini-000000.tar, sample 1.*{complaint}|{complaint}.*mini-000000.tar, sample 1"):
            shards[1]
    tar.unlink()
    with pytest.raises(InputError, match=r"cannot read .*mini-000000\.tar: No such file"):
        shards[1]
    with pytest.raises(InputError, match=r"there is no .*train\.json.*unipan convert shards"):
        Shards(folder, "train", merge="none")
