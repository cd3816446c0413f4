"""Image and ids move together: properties of augmentation as a whole, on drawn images."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unipan.classes import ClassInfo, ClassTable
from unipan.data.targets import make_target
from unipan.data.transforms import Augmentation, augment, color_jitter, draw_view, resize_both, take_view
from unipan.ops.segments import Label, panoptic_map

CLASSES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=name == "cat", dataset_id=number, color=(0, 0, 0), supercategory=name)
        for number, name in enumerate(("sky", "cat"), start=1)
    )
)
COLORS = torch.randint(0, 256, (40, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
"""Of each id: an image painted with them shows its ids."""

seeds = st.integers(0, 100_000)
sizes = st.tuples(st.integers(8, 80), st.integers(8, 80))


def settings_of(
    *, scale: tuple[float, float] = (1.0, 1.0), crop: int = 0, flip: bool = False, jitter: float = 0.0
) -> Augmentation:
    return Augmentation(short_side=0, long_side=0, scale_range=scale, crop=(crop, crop), flip=flip, jitter=jitter)


def rectangles(size: tuple[int, int], seed: int) -> Tensor:
    """(H, W) int32 ids of rectangles, one over the other, in front of id 1; some void."""
    random = np.random.default_rng(seed)
    ids = torch.ones(size, dtype=torch.int32)
    for number in (0, *range(2, 12)):
        top, left = int(random.integers(0, size[0])), int(random.integers(0, size[1]))
        ids[top : top + int(random.integers(1, size[0])), left : left + int(random.integers(1, size[1]))] = number
    return ids


def painted(ids: Tensor) -> Tensor:
    return COLORS[ids.long()].permute(2, 0, 1)


@given(sizes, seeds)
def test_a_flip_turns_every_segment_and_its_image(size: tuple[int, int], seed: int) -> None:
    ids = rectangles(size, seed)
    image, moved = augment(painted(ids), ids, settings_of(flip=True), np.random.default_rng(seed))
    mirrored = not torch.equal(moved, ids)
    for number in ids.unique().tolist():
        rows, columns = torch.where(ids == number)
        expected = torch.zeros(size, dtype=torch.bool)
        expected[rows, size[1] - 1 - columns if mirrored else columns] = True
        assert torch.equal(moved == number, expected)
    assert torch.equal(image, painted(moved))


@given(sizes, seeds, st.floats(0.3, 3.0), st.sampled_from([0, 32]))
def test_every_box_is_the_tight_box_of_its_mask(size: tuple[int, int], seed: int, factor: float, crop: int) -> None:
    ids = rectangles(size, seed)
    truth = panoptic_map(ids, [Label(1, 0), *(Label(number, 1) for number in range(2, 12))], CLASSES)
    settings = settings_of(scale=(factor, factor), crop=crop, flip=True, jitter=0.1)
    _, moved = augment(painted(ids), truth.ids, settings, np.random.default_rng(seed))
    target = make_target(replace(truth, ids=moved), min_thing_px=3)
    seen = [segment.id for segment in truth.segments if segment.is_thing and (moved == segment.id).sum() >= 3]
    assert len(target.boxes) == len(target.labels) == len(seen)
    for position, (number, box) in enumerate(zip(seen, target.boxes.tolist(), strict=True)):
        mask = moved.numpy() == number
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert np.array_equal(target.instances.numpy() == position, mask)


@given(sizes, seeds, st.floats(0.2, 4.0), st.sampled_from([0, 32, 48]))
def test_no_id_is_invented(size: tuple[int, int], seed: int, factor: float, crop: int) -> None:
    ids = rectangles(size, seed) * 1_000_003
    settings = settings_of(scale=(factor, factor), crop=crop, flip=True)
    _, moved = augment(torch.zeros(3, *size, dtype=torch.uint8), ids, settings, np.random.default_rng(seed))
    assert moved.dtype == torch.int32
    assert set(moved.unique().tolist()) <= set(ids.unique().tolist())


@given(st.tuples(st.integers(40, 120), st.integers(40, 120)), seeds, st.floats(0.4, 2.5), st.sampled_from([0, 32, 64]))
def test_pixels_and_ids_come_from_the_same_place(size: tuple[int, int], seed: int, factor: float, crop: int) -> None:
    """The image's channels are ramps that say which column and row a pixel came from, the ids count pixels."""
    columns = torch.arange(size[1]).expand(size)
    rows = torch.arange(size[0])[:, None].expand(size)
    image = torch.stack([columns, rows, torch.zeros(size)]).to(torch.uint8)
    ids = (rows * 1000 + columns).to(torch.int32)
    image, moved = augment(image, ids, settings_of(scale=(factor, factor), crop=crop, flip=True), np.random.default_rng(seed))
    inner = slice(2, -2)  # at the rim, interpolation has pixels on one side only
    for channel, came_from in enumerate((moved % 1000, moved // 1000)):
        difference = image[channel].int() - came_from
        assert difference[inner, inner].abs().max() <= 1


@given(sizes, seeds, st.floats(0.3, 3.0))
def test_ids_are_taken_from_the_nearest_pixel(size: tuple[int, int], seed: int, factor: float) -> None:
    ids = torch.arange(size[0] * size[1], dtype=torch.int32).view(size)
    settings, image = settings_of(scale=(factor, factor), crop=32), torch.zeros(3, *size, dtype=torch.uint8)
    view = draw_view(size, settings, np.random.default_rng(seed))
    _, moved = augment(image, ids, settings, np.random.default_rng(seed))
    assert moved.shape == view.size
    sides = ((moved // size[1])[:, 0], view.top, view.height), ((moved % size[1])[0], view.left, view.width)
    for came_from, start, length in sides:
        centres = start + (np.arange(len(came_from)) + 0.5) * length / len(came_from) - 0.5
        assert np.abs(came_from.numpy() - centres).max() <= 0.5 + 1e-3


@given(seeds)
def test_color_jitter_works_on_the_smaller_size_and_means_the_same(seed: int) -> None:
    """Where a view shrinks its colors change afterwards. The draws are the same either way, and so is the image, nearly."""
    ids = rectangles((96, 80), seed)
    noise = torch.from_numpy(np.random.default_rng(seed).integers(0, 20, (3, 96, 80), dtype=np.uint8))
    image = painted(ids) // 2 + noise + 40  # no level so near to 0 or 255 that color jitter would cut it
    for factor in (0.5, 1.0, 2.0):
        settings = settings_of(scale=(factor, factor), crop=32, jitter=0.1)
        got, moved = augment(image, ids, settings, np.random.default_rng(seed))
        random = np.random.default_rng(seed)
        view = draw_view((96, 80), settings, random)
        part, part_ids = take_view(image, ids, view)
        jittered_first, expected_ids = resize_both(color_jitter(part, jitter=0.1, random=random), part_ids, view.size)
        assert torch.equal(moved, expected_ids)
        if factor >= 1:
            assert torch.equal(got, jittered_first)
        else:
            assert (got.float() - jittered_first.float()).abs().mean() < 2
