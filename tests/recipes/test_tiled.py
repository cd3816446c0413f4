"""Large images in tiles, by a real network: tiles take the ordinary path, and so does an image that fits into one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from class_maps import class_map
from PIL import Image

from unipan.cli import main
from unipan.data.scenes.dataset import SceneDataset
from unipan.errors import InputError
from unipan.ops.tiles import Tiling, windows
from unipan.overrides import Overrides
from unipan.predictor import Predictor, load
from unipan.recipes.evaluation.limits import limits_reached
from unipan.tiled import predict_tiled

SIZE = (112, 144)


@pytest.fixture(scope="module")
def predictor(learnt_run: Path) -> Predictor:
    return load(learnt_run, device="cpu", overrides=Overrides(scale=1))


@pytest.fixture(scope="module")
def scene() -> torch.Tensor:
    return SceneDataset(difficulty="standard", size=SIZE, seed=1, length=1)[0].image


@pytest.mark.parametrize("head", ["unified", "heuristic"])
@pytest.mark.parametrize("tile", [144, (200, 8)])
def test_an_image_that_fits_into_a_tile_has_its_ordinary_answer(predictor: Predictor, scene: torch.Tensor, head, tile) -> None:
    whole, tiled = predictor(scene, head=head), predictor(scene, head=head, tile=tile)
    assert len(whole)
    assert tiled.ids.numpy().tobytes() == whole.ids.numpy().tobytes()
    assert tiled.segments == whole.segments


def test_each_pixel_is_of_the_class_that_its_tile_gives_it(predictor: Predictor, scene: torch.Tensor) -> None:
    answer = predictor(scene, tile=(64, 16), trim=False)
    expected = torch.zeros(SIZE, dtype=torch.int64)
    for window in windows(SIZE, Tiling(64, 16)):
        own = class_map(predictor(window.of(scene), trim=False))
        rows, columns = window
        inside = own[rows.own - rows.start :, columns.own - columns.start :]
        expected[rows.own : rows.end, columns.own : columns.end] = inside
    assert torch.equal(class_map(answer), expected)
    assert [segment.id for segment in answer] == list(range(1, len(answer) + 1))
    stuff = [segment.name for segment in answer if not segment.is_thing]
    assert len(stuff) == len(set(stuff)) > 1
    assert torch.equal(answer.image, scene)


@pytest.mark.parametrize("head", ["unified", "upsnet", "heuristic"])
def test_every_head_and_threshold_goes_for_tiles_too(predictor: Predictor, scene: torch.Tensor, head) -> None:
    """Stuff is trimmed in the whole image."""
    (answer,) = predictor([scene], head=head, tile=64)
    limit = predictor.min_stuff_area_px
    assert all(segment.area >= limit for segment in answer if not segment.is_thing)
    assert not any(segment.is_thing for segment in predictor(scene, head=head, tile=64, threshold=1.0))


def test_what_was_predicted_for_each_tile_is_shown_and_goes(predictor: Predictor, scene: torch.Tensor) -> None:
    sizes, reached = [], set()
    predict_tiled(
        predictor,
        scene,
        (64, 16),
        seen=lambda inference: (sizes.append(inference.network_size), reached.update(limits_reached(predictor, inference))),
    )
    assert sizes == [(64, 64)] * 6
    assert reached <= {"--max-detections", "--max-admitted"}


def test_the_command(learnt_run: Path, scene: torch.Tensor, predictor: Predictor, tmp_path: Path, capsys) -> None:
    path, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(scene.permute(1, 2, 0).numpy()).save(path)
    words = ["predict", str(learnt_run), str(path), "--out", str(out), "--scale", "1", "--device", "cpu", "--overlay", "none"]
    main([*words, "--tile", "64", "--tile-overlap", "16"])
    segments = json.loads((out / "panoptic.json").read_text())["annotations"][0]["segments_info"]
    answer = predictor(path, tile=(64, 16))
    assert [one["area"] for one in segments] == [one.area for one in answer]
    png = np.asarray(Image.open(out / "panoptic" / "a.png")).astype(np.int64) @ [1, 256, 65536]
    assert np.array_equal(png, answer.ids.numpy())
    for wrong, message in ((["--tile-overlap", "16"], "came without --tile"), (["--tile", "1"], "where they overlap")):
        with pytest.raises(SystemExit):
            main([*words, *wrong])
        assert message in " ".join(capsys.readouterr().err.split())


def test_a_tile_that_is_none_is_refused_before_anything_is_predicted(predictor: Predictor, scene: torch.Tensor) -> None:
    with pytest.raises(InputError, match="an overlap of 40"):
        predictor(scene, tile=(64, 40))
