"""What data sets tell besides their samples, without decoding an image."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from cityscapes_files import write_download
from PIL import Image

from unipan.choices import Merge
from unipan.classes import ClassInfo, ClassTable
from unipan.cli import main
from unipan.data.cityscapes import Cityscapes
from unipan.data.coco import coco_split
from unipan.data.coco_writer import Entry, write_panoptic
from unipan.data.dataset import SourceDataset
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.shards import Shards
from unipan.ops.segments import Label, panoptic_map

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name != "sky", color=(index, 0, 0), dataset_id=index + 1, supercategory=name)
        for index, name in enumerate(("sky", "cat", "owl"))
    )
)


def write_sources(root: Path, *, last: int = 1, merge: Merge = "none") -> dict[str, SourceDataset]:
    """One of each kind, of files or none. last: the class of the last image's thing."""
    (root / "mini").mkdir(parents=True)
    entries = []
    for image, thing in enumerate((1, last)):
        ids = 1 + (torch.arange(32 * 40).view(32, 40) % 40 // 20).int()
        Image.new("RGB", (40, 32), (image, 0, 0)).save(root / "mini" / f"{image}.png")
        entries.append(Entry(image, f"{image}.png", panoptic_map(ids, [Label(1, 0), Label(2, thing)], CLASSES)))
    names = {"json_name": "panoptic_mini.json", "png_folder": "panoptic_mini"}
    path = write_panoptic(root / "annotations", entries, CLASSES, **names, scores=False)
    main(["convert", "shards", str(path), "--images", str(root / "mini"), "--out", str(root / "shards")])
    download = write_download(root / "cityscapes")
    truth = sorted(download.rglob("*_instanceIds.png"))[-1]
    values = np.array(Image.open(truth))
    values[values == 24] = 23 + last
    Image.fromarray(values).save(truth)
    return {
        "coco": coco_split(root, "mini", merge=merge),
        "shards": Shards(root / "shards", "mini", merge=merge),
        "cityscapes": Cityscapes(download, "val", merge=merge),
        "scenes": SceneDataset(difficulty="standard", size=(32, 40), seed=last, length=2),
    }


@pytest.mark.parametrize("merge", ["none", "supercategory"])
def test_truths_and_ids_are_read_without_an_image(merge: Merge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, dataset in write_sources(tmp_path, merge=merge).items():
        samples = [dataset[index] for index in range(2)]
        with monkeypatch.context() as patch:
            module = import_module(type(dataset).__module__)
            patch.setattr(module, "paint_stuff" if kind == "scenes" else "read_image", lambda *_: pytest.fail("an image is read"))
            for index, sample in enumerate(samples):
                truth = dataset.truth_of(index)
                assert torch.equal(truth.ids, sample.truth.ids), kind
                assert (truth.segments, dataset.id_of(index)) == (sample.truth.segments, sample.image_id), kind


@pytest.mark.parametrize("kind", ["coco", "shards", "cityscapes", "scenes"])
def test_a_truth_is_told_from_another(kind: str, tmp_path: Path) -> None:
    """Also where files have the same names and sizes, as these shards' JSONs and PNGs have."""
    first, again, other = (write_sources(tmp_path / name, last=1 + (name == "c"))[kind].truth_facts() for name in "abc")
    assert first == again != other
