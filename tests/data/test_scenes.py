from itertools import combinations

import numpy as np
import pytest
import torch

from unipan.choices import Difficulty
from unipan.data.scenes.dataset import SceneDataset
from unipan.data.scenes.layout import SMALLEST_VISIBLE_PX
from unipan.data.scenes.statistics import SceneStatistics, _hull_area, _thickness, measure_scenes
from unipan.errors import InputError
from unipan.types import Sample, Size

DIFFICULTIES: tuple[Difficulty, ...] = ("standard", "crowded")
SIZE = (128, 160)


def scenes(difficulty: Difficulty = "standard", *, size: Size = SIZE, seed: int = 0, length: int = 200) -> SceneDataset:
    return SceneDataset(difficulty=difficulty, size=size, seed=seed, length=length)


def same(one: Sample, other: Sample) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.truth.ids, other.truth.ids)


@pytest.fixture(scope="module", params=DIFFICULTIES)
def statistics(request: pytest.FixtureRequest) -> tuple[Difficulty, SceneStatistics]:
    return request.param, measure_scenes(scenes(request.param), 150)


def test_a_scene_depends_on_difficulty_size_seed_and_index_alone() -> None:
    first = scenes(length=4)[3]
    later = scenes(length=50)
    _ = later[7]
    assert same(first, later[3])
    assert first.truth.segments == later[3].truth.segments
    for other in (scenes("crowded")[3], scenes(seed=1)[3], scenes()[2]):
        assert not same(first, other)


def test_names_length_and_end() -> None:
    dataset = scenes(seed=5, length=3)
    assert len(dataset) == 3
    assert (dataset[2].image_id, dataset[2].file_name) == (2, "scene-5-000002.png")
    for outside in (3, -1):
        with pytest.raises(IndexError):
            dataset[outside]


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="seed"):
        scenes(seed=-1)
    with pytest.raises(InputError, match="16x160"):
        scenes(size=(16, 160))


def test_classes() -> None:
    classes = scenes().classes
    assert len(classes.stuff) >= 3
    assert len(classes.things) == 3
    assert [info.dataset_id for info in classes.classes] == list(range(1, len(classes) + 1))
    assert len({info.color for info in classes.classes}) == len(classes)


@pytest.mark.parametrize("difficulty", [*DIFFICULTIES, "touching"])
def test_truth_is_exact_and_without_void(difficulty: Difficulty) -> None:
    dataset = scenes(difficulty, seed=1)
    for index in range(25):
        sample = dataset[index]
        ids = sample.truth.ids
        assert sample.image.dtype == torch.uint8
        assert sample.image.shape == (3, *SIZE)
        assert ids.dtype == torch.int32
        assert sorted(segment.id for segment in sample.truth.segments) == ids.unique().tolist()
        assert 0 not in ids
        for segment in sample.truth.segments:
            rows, columns = torch.nonzero(ids == segment.id, as_tuple=True)
            box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
            assert (segment.area, segment.box) == (len(rows), box)
            assert segment.area >= SMALLEST_VISIBLE_PX
            assert segment.is_thing == dataset.classes.is_thing[segment.class_index]
        stuff = [segment.class_index for segment in sample.truth.segments if not segment.is_thing]
        assert len(stuff) == len(set(stuff))


def test_each_difficulty_keeps_its_promise(statistics: tuple[Difficulty, SceneStatistics]) -> None:
    difficulty, measured = statistics
    low, high = {"standard": (0.28, 0.40), "crowded": (0.75, 0.87)}[difficulty]
    assert low <= measured.same_class_overlap <= high
    fewest, most = {"standard": (2, 6), "crowded": (4, 9)}[difficulty]
    assert fewest <= measured.things_per_scene <= most


def test_scenes_have_what_boxes_cannot_tell(statistics: tuple[Difficulty, SceneStatistics]) -> None:
    _, measured = statistics
    assert measured.hard_shapes > 0.5
    assert min(measured.thin, measured.concave, measured.split) > 0.3
    assert measured.same_class_touch > 0.3
    assert measured.cut_by_border > 0.3
    assert 0.04 <= measured.without_things <= 0.1


def test_touching_things_are_many_small_and_side_by_side() -> None:
    dataset = scenes("touching")
    samples = [dataset[index] for index in range(30)]
    things = [[segment for segment in sample.truth.segments if segment.is_thing] for sample in samples]
    assert 12 < np.mean([len(one) for one in things]) < 24
    assert {segment.name for one in things for segment in one} == {"log"}
    assert 60 < np.median([segment.area for one in things for segment in one]) < 250
    beside = []
    for sample, own in zip(samples, things, strict=True):
        ids = sample.truth.ids
        pairs = torch.cat([torch.stack([ids[1:], ids[:-1]]).flatten(1), torch.stack([ids[:, 1:], ids[:, :-1]]).flatten(1)], 1)
        touching = set(map(tuple, pairs.T.unique(dim=0).tolist()))
        names = [segment.id for segment in own]
        beside += [any((i, j) in touching or (j, i) in touching for j in names if j != i) for i in names]
    assert np.mean(beside) > 0.7


def test_all_classes_occur_often() -> None:
    dataset = scenes()
    seen = [{segment.class_index for segment in sample.truth.segments} for sample in (dataset[index] for index in range(60))]
    assert all(sum(c in found for found in seen) >= 20 for c in range(len(dataset.classes)))


@pytest.mark.parametrize("size", [(32, 32), (64, 300), (96, 96), (256, 320)])
def test_things_scale_with_the_size(size: Size) -> None:
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    dataset = scenes(size=size)
    samples = [dataset[index] for index in range(12)]
    things = [segment for sample in samples for segment in sample.truth.segments if segment.is_thing]
    assert all(sample.image.shape == (3, *size) and sample.truth.ids.shape == size for sample in samples)
    assert 150 < np.mean([thing.area for thing in things]) / scale**2 < 600


def test_color_does_not_tell_things_of_one_class_apart() -> None:
    between, within, apart = [], [], []
    dataset = scenes("crowded")
    for sample in (dataset[index] for index in range(40)):
        pixels = sample.image.float()
        things = [(s.class_index, pixels[:, sample.truth.ids == s.id]) for s in sample.truth.segments if s.is_thing]
        within += [float(color.std(1).mean()) for _, color in things]
        for (class_a, color_a), (class_b, color_b) in combinations(things, 2):
            distance = float((color_a.mean(1) - color_b.mean(1)).abs().mean())
            (between if class_a == class_b else apart).append(distance)
    assert np.mean(between) < 0.4 * np.mean(within)
    assert np.mean(apart) > 2 * np.mean(between)


def test_measures_of_shape_by_hand() -> None:
    ids = np.zeros((12, 20), np.int32)
    ids[1:8, 1:4] = 1  # an L ...
    ids[5:8, 1:9] = 1
    ids[2, 12:19] = 2  # ... and a bar, of which pixel 15 is covered
    ids[2, 15] = 0
    assert _thickness(ids) == {1: 3, 2: 1}
    assert _hull_area(ids == 1) == 7 * 8 - 5 * 4 / 2
