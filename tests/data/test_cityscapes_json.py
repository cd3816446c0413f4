"""The official JSON of Cityscapes, in label ids and in train ids, holds what the download holds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cityscapes_files import official_categories, write_download, write_official_json

from unipan.classes import ClassTable
from unipan.config import DataConfig
from unipan.data.build import training_dataset, validation_dataset
from unipan.data.cityscapes import Cityscapes
from unipan.data.cityscapes_labels import CITYSCAPES, image_id_of, with_label_ids


@pytest.mark.parametrize("train_ids", [False, True])
@pytest.mark.parametrize("images", ["leftImg8bit", "leftImg8bit/val"])
def test_both_forms_equal_the_download(tmp_path: Path, images: str, train_ids: bool) -> None:
    direct = Cityscapes(write_download(tmp_path), "val", merge="none")
    categories = official_categories(CITYSCAPES.to_categories(), train_ids=train_ids)
    path = write_official_json(tmp_path / "gtFine", categories, train_ids=train_ids)
    config = DataConfig(train=str(path), val=str(path), images=str(tmp_path / images))
    for dataset in (training_dataset(config, seed=0), validation_dataset(config)):
        assert not dataset.classes.difference(direct.classes)
        assert len(dataset) == len(direct) == 2
        for own, official in ((direct[position], dataset[position]) for position in range(2)):
            assert own.image_id == official.image_id
            assert torch.equal(own.image, official.image)
            assert torch.equal(own.truth.ids, official.truth.ids)
            by_id = [sorted(truth.segments, key=lambda s: s.id) for truth in (own.truth, official.truth)]
            ids = [[replace(segment, category_id=0) for segment in segments] for segments in by_id]  # theirs may be train ids
            assert ids[0] == ids[1]


def test_train_ids_become_label_ids_and_nothing_else_does() -> None:
    by_train_id = ClassTable(tuple(replace(info, dataset_id=index) for index, info in enumerate(CITYSCAPES.classes)))
    assert with_label_ids(by_train_id) == CITYSCAPES
    assert with_label_ids(CITYSCAPES) is CITYSCAPES
    other = ClassTable((replace(by_train_id[0], name="street"), *by_train_id.classes[1:]))
    assert with_label_ids(other) is other
    assert with_label_ids(ClassTable(by_train_id.classes[:5])).classes[4].dataset_id == 4


def test_image_ids_of_predictions() -> None:
    assert image_id_of("lindau_000001_000019_leftImg8bit.png") == "lindau_000001_000019"
    assert image_id_of("a/holiday.jpg") == "a/holiday"
