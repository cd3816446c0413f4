from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unipan.classes import VOID, ClassInfo, ClassTable
from unipan.data.targets import make_target
from unipan.data.transforms import Augmentation, View, augment, color_jitter, draw_view, hflip, network_batch, resize_both
from unipan.ops.segments import Label, panoptic_map
from unipan.ops.sizes import resized_size


@pytest.mark.parametrize(
    ("size", "short", "long", "expected"),
    [
        ((480, 640), 800, 1333, (800, 1067)),
        ((480, 640), 0, 0, (480, 640)),
        ((400, 1000), 800, 1333, (533, 1333)),  # the long side binds
        ((640, 480), 240, 0, (320, 240)),
        ((100, 50), 0, 80, (80, 40)),  # only a limit: shrinks ...
        ((100, 50), 0, 200, (100, 50)),  # ... but never enlarges
        ((1, 1000), 0, 100, (1, 100)),
    ],
)
def test_resized_size(size: tuple[int, int], short: int, long: int, expected: tuple[int, int]) -> None:
    assert resized_size(size, short_side=short, long_side=long) == expected


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.integers(0, 1000), st.integers(0, 1000))
def test_resized_size_keeps_its_limits(size: tuple[int, int], short: int, extra: int) -> None:
    long = short + extra
    resized = resized_size(size, short_side=short, long_side=long)
    assert min(resized) >= 1
    assert max(resized) <= (long or max(size)) or not long
    assert not short or min(resized) <= short


def test_resizing_moves_image_and_ids_together() -> None:
    ids = torch.zeros(20, 30, dtype=torch.int32)
    ids[5:15, 10:20] = 2**24 - 1
    image = (ids > 0).to(torch.uint8).expand(3, -1, -1) * 255
    resized, moved = resize_both(image, ids, (40, 60))
    assert resized.shape == (3, 40, 60)
    assert moved.dtype == torch.int32
    assert set(moved.unique().tolist()) == {0, 2**24 - 1}
    assert torch.equal(resized[0] > 127, moved > 0)


def test_an_image_becomes_a_single_pixel() -> None:
    image = torch.arange(3 * 2 * 2, dtype=torch.uint8).view(3, 2, 2)
    pixel, id = resize_both(image, torch.full((2, 2), 7), (1, 1))
    assert (pixel.dtype, pixel.flatten().tolist(), id.tolist()) == (torch.uint8, [2, 6, 10], [[7]])
    assert network_batch([image], [(1, 1)], torch.device("cpu")).shape == (1, 3, 1, 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_flipping_twice_changes_nothing(height: int, width: int) -> None:
    ids = torch.arange(height * width, dtype=torch.int32).view(height, width)
    image = ids.to(torch.uint8).expand(3, -1, -1)
    once = hflip(image, ids)
    assert torch.equal(once[0][0], once[1].to(torch.uint8))
    assert once[1][0, 0] == width - 1
    twice = hflip(*once)
    assert torch.equal(twice[0], image)
    assert torch.equal(twice[1], ids)


def test_augmentation_depends_on_its_generator_alone() -> None:
    settings = Augmentation(short_side=16, long_side=0, scale_range=(1.0, 1.0), crop=(0, 0), flip=True, jitter=0.4)
    image = torch.randint(0, 256, (3, 24, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    ids = torch.arange(24 * 32, dtype=torch.int32).view(24, 32)
    before = torch.get_rng_state()
    views = [augment(image, ids, settings, np.random.default_rng(seed)) for seed in (0, 0, 1, 2, 3, 4, 5, 6)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(views[0][0], views[1][0])
    assert not torch.equal(views[0][0], views[2][0])
    assert len({int(moved[0, 0]) for _, moved in views}) == 2  # mirrored and not


def test_color_jitter_is_bounded_and_zero_is_identity() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    for seed in range(10):
        jittered = color_jitter(image, jitter=0.2, random=np.random.default_rng(seed))
        assert jittered.dtype == torch.uint8
        assert 79 <= int(jittered.min()) <= int(jittered.max()) <= 121  # uniform gray: only brightness changes it
    same = color_jitter(image, jitter=0.0, random=np.random.default_rng(0))
    assert torch.equal(same, image)


STUFF_AND_THING = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=is_thing, dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, (name, is_thing) in enumerate([("sky", False), ("cat", True)], start=1)
    )
)


def cropping(*crop: int, scale: tuple[float, float] = (1.0, 1.0), short: int = 0) -> Augmentation:
    return Augmentation(short_side=short, long_side=0, scale_range=scale, crop=(crop[0], crop[1]), flip=False, jitter=0.0)


def numbered(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose pixels tell where they stood, and ids that tell the same."""
    ids = torch.arange(height * width, dtype=torch.int32).view(height, width)
    return torch.stack([ids % 256, ids // 256, ids * 0]).to(torch.uint8), ids


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)), st.tuples(st.integers(32, 64), st.integers(32, 64)), st.integers(0, 9))
def test_a_crop_is_a_part_of_the_image_and_of_its_ids(size: tuple[int, int], crop: tuple[int, int], seed: int) -> None:
    image, ids = numbered(*size)
    part, moved = augment(image, ids, cropping(*crop), np.random.default_rng(seed))
    height, width = min(size[0], crop[0]), min(size[1], crop[1])
    assert moved.shape == (height, width), "a smaller image is taken whole"
    top, left = divmod(int(moved[0, 0]), size[1])
    assert torch.equal(moved, ids[top : top + height, left : left + width])
    assert torch.equal(part, image[:, top : top + height, left : left + width])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_boxes_after_a_crop_are_tight_and_slivers_are_void(seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = torch.full((60, 70), 1, dtype=torch.int32)
    for number in range(2, 9):
        top, left = random.integers(0, 50, 2)
        ids[top : top + random.integers(1, 25), left : left + random.integers(1, 25)] = number
    labels = [Label(1, 0), *(Label(number, 1) for number in range(2, 9) if (ids == number).any())]
    truth = panoptic_map(ids, labels, STUFF_AND_THING)
    _, moved = augment(torch.zeros(3, 60, 70, dtype=torch.uint8), ids, cropping(32, 36), random)
    target = make_target(replace(truth, ids=moved), min_thing_px=12)
    kept = [number for number in range(2, 9) if (moved == number).sum() >= 12]
    assert len(target.boxes) == len(kept)
    for position, number in enumerate(kept):
        rows, columns = torch.where(moved == number)
        assert target.boxes[position].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert torch.equal(target.instances == position, moved == number)
    for number in range(2, 9):
        assert (target.semantic[moved == number] == (1 if number in kept else VOID)).all(), "a sliver is void and never stuff"
    assert (target.semantic[moved == 1] == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(20, 300), st.integers(20, 300)), st.integers(0, 100), st.floats(0.5, 2.0))
def test_a_view_lies_inside_and_keeps_proportions(size: tuple[int, int], seed: int, factor: float) -> None:
    view = draw_view(size, cropping(64, 96, scale=(factor, factor)), np.random.default_rng(seed))
    assert 0 <= view.top <= size[0] - view.height
    assert 0 <= view.left <= size[1] - view.width
    assert view.size == (min(64, max(1, round(size[0] * factor))), min(96, max(1, round(size[1] * factor))))
    assert view.height == pytest.approx(view.size[0] / factor, abs=2)
    assert view.width == pytest.approx(view.size[1] / factor, abs=2)


def test_the_paper_s_view_of_cityscapes() -> None:
    views = [draw_view((1024, 2048), cropping(512, 1024, scale=(0.5, 2.0)), np.random.default_rng(seed)) for seed in range(200)]
    assert all(view.size == (512, 1024) for view in views)
    factors = [512 / view.height for view in views]
    assert 0.5 <= min(factors) < 0.55
    assert 1.9 < max(factors) <= 2.0
    assert np.mean(factors) == pytest.approx(1.25, abs=0.1), "the factor is uniform, not its logarithm"
    assert len({view.top for view in views}) > 100


def test_scale_works_on_top_of_the_short_side() -> None:
    random = np.random.default_rng(0)
    assert draw_view((100, 200), cropping(0, 0, scale=(1.5, 1.5), short=40), random) == View(0, 0, 100, 200, (60, 120))


def test_nothing_is_drawn_where_nothing_is_left_to_chance() -> None:
    random = np.random.default_rng(5)
    draw_view((100, 200), cropping(128, 256), random)
    assert random.random() == np.random.default_rng(5).random()


def test_cropping_and_resizing_keep_image_and_ids_together() -> None:
    ids = torch.zeros(200, 300, dtype=torch.int32)
    ids[:, 100:] = 7
    ids[120:] = 9
    image = torch.stack([(ids == 0), (ids == 7), (ids == 9)]).to(torch.uint8) * 255
    for seed in range(10):
        part, moved = augment(image, ids, cropping(64, 96, scale=(0.5, 2.0)), np.random.default_rng(seed))
        for channel, number in enumerate((0, 7, 9)):
            differ = (part[channel] > 127) != (moved == number)
            assert differ.float().mean() < 0.03, "at most the seams"
