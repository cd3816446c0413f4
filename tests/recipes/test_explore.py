"""`unipan explore`: a run's page from the command line and from Python, and what it refuses."""

import base64
import json
import os
import re
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unipan
from unipan.cli import main
from unipan.config import Config
from unipan.data.scenes.materials import scene_classes
from unipan.models.build import build_network
from unipan.models.panoptic_head import UnifiedHead
from unipan.predictor import Predictor, load
from unipan.recipes.evaluation.image_scores import unpropagated_ids
from unipan.viz.canvas import as_pil


def images_in(html: str) -> list[dict[str, Any]]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)["images"]


def pixels(shown: dict[str, Any], key: str) -> np.ndarray:
    """A map's ids, as the page holds them."""
    positions = np.frombuffer(zlib.decompress(base64.b64decode(shown["maps"][key]["pixels"])), "<u2")
    ids = [0, *(segment["id"] for segment in shown["maps"][key]["segments"])]
    return np.array(ids)[positions].reshape(shown["height"], shown["width"])


@pytest.fixture(scope="module")
def predictor(tiny_run: Path) -> Predictor:
    return load(tiny_run, device="cpu")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a [1].png"
    as_pil(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)).save(path)
    return path


def test_held_out_images_come_with_their_truth(
    tiny_run: Path, tmp_path: Path, predictor: Predictor, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out" / "page.html"
    main(["explore", str(tiny_run), "--samples", "2", "--no-trim", "--out", str(page)])
    assert re.search(r"Open .*page.html in a browser: 2 images, 0\.\d MB\.", " ".join(capsys.readouterr().out.split()))
    first, second = images_in(page.read_text())
    assert first["name"] != second["name"]
    assert set(first["maps"]) == {"answer", "truth", "unpropagated", "semantic"}
    assert first["facts"] == [["run", "run"], ["head", "unified"], ["threshold", "0"], ["trimming", "none"]]


def test_the_page_shows_the_predictors_own_answer(predictor: Predictor, image: Path) -> None:
    inference = predictor.infer(image)
    (shown,) = images_in(unipan.explore(predictor, image, run="mine").html)
    assert np.array_equal(pixels(shown, "answer"), predictor.answer(inference).ids.numpy())
    assert shown["facts"][3] == ["trimming", "stuff under 100 px"]
    logits = inference.outputs.panoptic[0]
    parts = {
        name: np.frombuffer(zlib.decompress(base64.b64decode(part["values"])), np.uint8) for name, part in shown["parts"].items()
    }
    total = (
        sum(
            parts[name].reshape(len(logits), -1) * np.array(shown["parts"][name]["steps"])[:, None]
            + np.array(shown["parts"][name]["lows"])[:, None]
            for name in ("evidence", "unary")
        )
        + np.array(shown["bias"])[:, None]
    )
    steps = sum(np.array(shown["parts"][name]["steps"])[:, None] for name in ("evidence", "unary"))
    assert (np.abs(total - logits.flatten(1).numpy()) <= steps / 2 + 1e-4).all()
    assert len(shown["channels"]) == len(logits)


def test_options_of_a_call_reach_the_page(predictor: Predictor, image: Path) -> None:
    (shown,) = images_in(unipan.explore(predictor, image, head="heuristic", trim=False, threshold=1.0).html)
    assert [value for _, value in shown["facts"]] == ["this predictor", "heuristic", "1", "none"]
    assert "unpropagated" not in shown["maps"], "that is asked of the unified head alone"
    assert not any(segment["thing"] for segment in shown["maps"]["answer"]["segments"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_run_is_loaded_by_its_name(tiny_run: Path, image: Path) -> None:
    found = [images_in(unipan.explore(given, image).html)[0] for given in (unipan.load(tiny_run), str(tiny_run), tiny_run)]
    assert found[0] == found[1] == found[2]
    with pytest.raises(unipan.InputError, match="a run came as a int"):
        unipan.explore(3, image)  # type: ignore[arg-type]


def test_a_name_that_is_no_utf8_is_shown_by_its_numbers(tiny_run: Path, tmp_path: Path, image: Path) -> None:
    odd = image.rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    main(["explore", str(tiny_run), str(odd), "--out", str(tmp_path / "page.html")])
    (shown,) = images_in((tmp_path / "page.html").read_text())
    assert shown["name"] == r"caf\udce9.png"


def test_truth_of_named_images(tiny_run: Path, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_run)
    main(["predict", str(tiny_run), str(image), "--out", str(tmp_path / "out")])
    page = tmp_path / "page.html"
    main(["explore", ".", str(image), "--truth", str(tmp_path / "out/panoptic.json"), "--out", str(page)])
    (shown,) = images_in(page.read_text())
    assert shown["facts"][0] == ["run", "run"]
    assert np.array_equal(pixels(shown, "truth") > 0, pixels(shown, "answer") > 0)


@pytest.mark.parametrize(
    ("changes", "parts", "channels"),
    [
        ({"masks": True, "variant": "B", "existence": True, "upsampling": "convex"}, ["evidence", "potential", "unary"], 8),
        ({"propagation": "normalised", "residual": False}, ["evidence", "potential"], 8),
        ({"propagation": "none"}, ["potential", "unary"], 8),
        ({"panoptic": "upsnet", "void_channel": True}, ["unary"], 9),
        ({"panoptic": "heuristic"}, [], 0),
    ],
)
def test_every_kind_of_network_has_a_page(
    tiny_config: Config, image: Path, changes: dict[str, Any], parts: list[str], channels: int
) -> None:
    loss = replace(tiny_config.loss, panoptic=0.0) if changes.get("panoptic") == "heuristic" else tiny_config.loss
    config = replace(tiny_config, model=replace(tiny_config.model, **changes), loss=loss)
    torch.manual_seed(0)
    predictor = Predictor(build_network(config.model, scene_classes()), scene_classes(), config)
    (shown,) = images_in(unipan.explore(predictor, image, trim=False).html)
    assert sorted(shown["parts"]) == parts
    assert len(shown["channels"]) == channels
    learnt = config.model.panoptic == "unified" and config.model.propagation != "none"
    assert (shown["affinity"] is not None) == learnt
    assert ("unpropagated" in shown["maps"]) == learnt
    if learnt:  # by one definition, evaluation's
        expected = unpropagated_ids(predictor.infer(image), predictor.classes)
        assert np.array_equal(pixels(shown, "unpropagated"), expected.numpy())
    assert (shown["detections"]["masks"] is not None) == config.model.masks
    assert sum(entry["admitted"] for entry in shown["detections"]["entries"]) == 4


def test_without_propagation_is_the_head_whose_evidence_weighs_nothing(tiny_config: Config, image: Path) -> None:
    """With the existence learnt the potential's own weight matters too."""
    config = replace(tiny_config, model=replace(tiny_config.model, existence=True))
    torch.manual_seed(0)
    predictor = Predictor(build_network(config.model, scene_classes()), scene_classes(), config)
    head = predictor.network.panoptic_head
    assert isinstance(head, UnifiedHead)
    assert head.log_scale is not None
    assert head.log_unary_scale is not None
    torch.nn.init.constant_(head.log_unary_scale, -4.0)
    torch.nn.init.constant_(head.log_scale, -torch.inf)
    inference = predictor.infer(image)
    outputs, existence = inference.outputs, torch.full((4,), -0.175)  # which takes 0.1 from a detection's logits
    psi = torch.full_like(outputs.potentials[0], 0.1)
    psi[0], psi[4, :, :8] = 0.5, 0.6  # the first detection is a little likelier than the first stuff class in a strip
    with torch.no_grad():
        logits = head(psi, outputs.affinity[0], existence)
    changed = outputs._replace(existence=[existence], potentials=[psi], panoptic=[logits])
    inference = inference._replace(outputs=changed)
    off = unpropagated_ids(inference, predictor.classes, head.unary_scale.item())
    assert torch.equal(off, predictor.answer(inference, trim=False).ids)
    assert not torch.equal(off, unpropagated_ids(inference, predictor.classes)), "else the weight would not show here"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name images, or give --samples"),
        (["--samples", "-1"], "name images, or give --samples"),
        (["--samples", "99"], "has 4 held-out images"),
        (["--samples", "1", "--truth", "t.json"], "leave --truth out"),
        (["a.png", "--data.root", "d"], "only --samples reads one"),
        (["missing.png"], "there is no image file missing.png"),
    ],
)
def test_what_makes_no_page_is_refused(
    tiny_run: Path, tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explore", str(tiny_run), *options, "--out", str(tmp_path / "page.html")])
    assert stop.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "page.html").exists()


def test_files_that_are_no_images_or_pages(
    tiny_run: Path, tmp_path: Path, image: Path, predictor: Predictor, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.png").write_bytes(b"none")
    for images, out, message in (
        ([tmp_path / "b.png"], tmp_path / "p.html", "nothing to explore"),
        ([image], tmp_path, "it is a folder. Name a file in it"),
        ([image, tmp_path / "b.png"], tmp_path / "p.html", "1 image could not be read"),
    ):
        with pytest.raises(SystemExit):
            main(["explore", str(tiny_run), *map(str, images), "--out", str(out)])
        assert message in " ".join(capsys.readouterr().err.split())
    assert len(images_in((tmp_path / "p.html").read_text())) == 1
    truth = predictor(torch.zeros(3, 40, 40))
    with pytest.raises(unipan.InputError, match="the truth of image is 40x40, but the image is 50x70"):
        unipan.explore(predictor, image, truth=truth)
