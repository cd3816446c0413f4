"""Prediction from and to a store that fsspec knows, and by Ray: the same bytes as from and to folders, one by one."""

import json
import pickle
import shutil
from collections.abc import Iterator
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from unipan.addresses import Address, absolute, files_below, location_of, read_bytes, write_bytes
from unipan.checkpoint import open_run
from unipan.cli import main
from unipan.data import address_log
from unipan.errors import InputError
from unipan.recipes import predict_image, predict_ray
from unipan.recipes.compare import compare
from unipan.recipes.predict import predict
from unipan.recipes.predict_ray import RayOptions

NAMES = ("001.png", "002.jpg", "deep/003.png", "deep/004.png", "deep/005.jpg")


class Outlasting(MemoryFileSystem):
    """The store in memory under another name: to a command line it is one that outlasts it."""

    protocol = "outlasting"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("outlasting://"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        noise = np.random.default_rng(number).integers(0, 256, (40, 56, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)
    return folder


@pytest.fixture
def store() -> Iterator[Address]:
    """An empty store in memory."""
    MemoryFileSystem.store.clear()
    yield Address("memory://bucket")
    MemoryFileSystem.store.clear()


@pytest.fixture
def bucket(store: Address, folder: Path) -> Address:
    """The images in it, and what systems leave beside images."""
    images = store.below("images")
    for name in NAMES:
        write_bytes(images.below(name), (folder / name).read_bytes())
    write_bytes(images.below(".hidden/a.png"), b"none")
    write_bytes(images.below("notes.txt"), b"none")
    return images


def files_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def answers_at(out: Address) -> dict[str, bytes]:
    """By their names; the pieces of the log as one, as in a folder."""
    found = {file.removeprefix(f"{out}/"): read_bytes(file) for file in files_below(out)}
    log = b"".join(found.pop(name) for name in sorted(found) if name.startswith("panoptic.jsonl/"))
    return found | {"panoptic.jsonl": log}


def without_sources(files: dict[str, bytes]) -> dict[str, Any]:
    """Where an image came from is in the log, and of a file when it was changed; both differ."""
    lines = [json.loads(line) for line in files["panoptic.jsonl"].splitlines()]
    own = {"source", "state"}
    return files | {"panoptic.jsonl": [{key: value for key, value in line.items() if key not in own} for line in lines]}


def test_a_bucket_works_as_a_folder_does(
    learnt_run: Path, folder: Path, bucket: Address, store: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", str(learnt_run), str(folder), "--out", str(tmp_path / "out"), "--json"])
    expected = capsys.readouterr().out
    register_implementation("outlasting", Outlasting, clobber=True)
    main(["predict", str(learnt_run), str(bucket), "--out", "outlasting://bucket/out", "--json"])
    printed = capsys.readouterr()
    assert printed.out == expected
    assert "5 images; left out: 2 other files" in " ".join(printed.err.split())
    assert without_sources(answers_at(store.below("out"))) == without_sources(files_of(tmp_path / "out"))
    assert len(json.loads(expected)["images"]) == 5


def test_a_folder_of_a_chain_works_as_a_folder_does(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    """Images in a ZIP, whose own place stands behind the folder's."""
    archive = Path(shutil.make_archive(str(tmp_path / "images"), "zip", tmp_path, "images"))
    chains = (f"zip://images::file://{archive}", f"simplecache::zip://images/::{archive.as_uri()}", f"zip://images::{archive}")
    for number, chain in enumerate(chains):
        found = predict(str(learnt_run), [location_of(chain)], tmp_path / f"{number}")
        assert (found.images, found.unreadable) == (5, [])
    predict(str(learnt_run), [folder], tmp_path / "here")
    assert without_sources(files_of(tmp_path / "0")) == without_sources(files_of(tmp_path / "here"))


def test_files_of_this_machine_by_address_are_paths(learnt_run: Path, folder: Path) -> None:
    """So results below the images are none, an image named twice is one, and what is done is known."""
    wanted, out = [location_of(f"file://{folder}"), folder / "001.png"], location_of(f"local://{folder}/out")
    assert predict(str(learnt_run), wanted, out).images == 5
    before = files_of(folder / "out")
    assert predict(str(learnt_run), wanted, out, skip_done=True).images == 5
    assert predict(str(learnt_run), [folder], folder / "out", skip_done=True).images == 5
    assert files_of(folder / "out") == before


def test_a_run_and_images_to_compare_may_have_addresses_of_this_machine(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    for run in (f"file://{learnt_run}", f"local://{learnt_run}", Path(f"file://{learnt_run}")):
        assert open_run(run)[0].path == learnt_run
    wanted = [Path(f"file://{folder}/deep"), Path(f"file://{folder}/001.png")]
    assert len(compare(f"file://{learnt_run}", wanted, tmp_path / "out").drawings) == 4


def test_a_name_that_no_address_can_bear_is_named(
    learnt_run: Path, bucket: Address, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MemoryFileSystem.store["/bucket/images/a::b.png"] = MemoryFileSystem.store["/bucket/images/001.png"]
    found = predict(str(learnt_run), [bucket], tmp_path / "out")
    assert (found.images, found.unreadable) == (5, [f"{bucket}/a::b.png"])
    assert "a::b.png: stores take :: for the start of a further address" in " ".join(capsys.readouterr().err.split())


def test_results_may_go_above_the_images(learnt_run: Path, folder: Path, bucket: Address, store: Address) -> None:
    assert predict(str(learnt_run), [bucket], store).images == 5
    assert predict(str(learnt_run), [folder], folder.parent).images == 5


def test_files_and_folders_here_and_there_mix(learnt_run: Path, folder: Path, bucket: Address, tmp_path: Path) -> None:
    wanted = [folder / "001.png", bucket.below("deep"), bucket.below("deep/003.png")]
    assert predict(str(learnt_run), wanted, tmp_path / "out").images == 4
    sources = [json.loads(line).get("source") for line in (tmp_path / "out/panoptic.jsonl").read_text().splitlines()]
    assert sources[1:] == [str(wanted[0]), *(f"{bucket}/deep/{number}" for number in ("003.png", "004.png", "005.jpg"))]


def test_a_call_to_a_bucket_goes_on(learnt_run: Path, bucket: Address, store: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the fifth image, when two pieces of two images each are there; the third is not sent."""
    whole, out = store.below("whole"), store.below("out")
    predict(str(learnt_run), [bucket], whole)
    with monkeypatch.context() as patch:
        write = predict_image.save_image
        patch.setattr(address_log, "PIECE_IMAGES", 2)
        patch.setattr(predict_image, "save_image", lambda drawn, path: write(drawn, path) if "005" not in path.name else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            predict(str(learnt_run), [bucket], out)
    assert len(files_below(out.below("panoptic.jsonl"))) == 2
    write_bytes(out.below("panoptic/001.png"), b"done, so nobody writes it again")
    done = predict(str(learnt_run), [bucket], out, skip_done=True)
    assert (done.images, done.last and str(done.last[0])) == (5, f"{bucket}/deep/005.jpg")
    found = answers_at(out)
    assert found.pop("panoptic/001.png") == b"done, so nobody writes it again"
    assert found.items() <= answers_at(whole).items()
    with pytest.raises(InputError, match=r"memory://bucket/out/panoptic\.jsonl holds answers of another run or other settings"):
        predict(str(learnt_run), [bucket], out, skip_done=True, head="heuristic")
    predict(str(learnt_run), [bucket], out, head="heuristic")
    assert len(files_below(out.below("panoptic.jsonl"))) == 1, "all anew: the old pieces are gone"


def test_what_is_wrong_with_addresses_is_told(learnt_run: Path, bucket: Address, store: Address, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for wanted, message in (
        (store.below("gone"), "there is no image memory://bucket/gone, nor one below it"),
        (Address("nowhere://a/b.png"), "cannot reach nowhere://a/b.png: Protocol not known: nowhere"),
    ):
        with pytest.raises(InputError, match=message):
            predict(str(learnt_run), [wanted], out)
    with pytest.raises(InputError, match="is both where images are and where results go"):
        predict(str(learnt_run), [bucket], Address(f"{bucket}/"))
    assert not out.exists()
    write_bytes(bucket.below("001.png"), b"no image")
    found = predict(str(learnt_run), [bucket], bucket.below("out"))
    assert (found.images, found.unreadable) == (4, [f"{bucket}/001.png"])
    assert predict(str(learnt_run), [bucket], bucket.below("out"), skip_done=True).images == 4, "results are no images"


def test_a_chain_ends_in_a_path_of_this_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fsspec takes as one; a name in the archive that has :: itself is refused all the same."""
    monkeypatch.chdir(folder.parent)
    (folder / "a::b.png").write_bytes(b"none")
    shutil.make_archive("a", "zip", ".", "images")
    for tail in ("a.zip", "./a.zip", f"{folder.parent}/a.zip"):
        assert read_bytes(Address(f"zip://images/001.png::{tail}")) == (folder / "001.png").read_bytes()
        found = files_below(Address(f"zip://images::{tail}"))
        assert [file.path.name for file in found] == ["001.png", "002.jpg", "a::b.png", "003.png", "004.png", "005.jpg"]
        for address in (found[2], pickle.loads(pickle.dumps(found[2]))):
            with pytest.raises(InputError, match="stores take :: for the start of a further address; rename the file"):
                read_bytes(address)


def test_words_are_paths_or_addresses() -> None:
    assert location_of("a/b.png") == Path("a/b.png")
    address = location_of("s3://bucket/a/b.png")
    assert isinstance(address, Address)
    assert (address.path, absolute(address)) == (Path("/bucket/a/b.png"), address)


# --- Ray ---


def test_ray_s_options_are_checked() -> None:
    wrong: tuple[dict[str, Any], ...] = ({"predictors": -1}, {"gpus": -0.5}, {"gpus": 1.5}, {"gpus": inf}, {"gpus": nan})
    for options in wrong:
        with pytest.raises(InputError, match="give a whole number from 0 on, and a part of a GPU or whole ones"):
            RayOptions(**options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (RayOptions(gpus=0.5), r"has 0 GPUs, room for 0 predictors, and --ray-gpus 0\.5 was asked for; give less, or leave"),
        (RayOptions(predictors=3, gpus=1), "and --ray-predictors 3 with --ray-gpus 1 was asked for; give less, or leave"),
        (RayOptions(predictors=3), "has 2 processors, room for 2 predictors, and --ray-predictors 3 was asked for; give fewer"),
    ],
)
def test_a_cluster_that_is_too_small_says_what_was_asked(options: RayOptions, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        predict_ray._predictors(SimpleNamespace(cluster_resources=lambda: {"CPU": 2.0}), options, 9)


def test_results_in_a_process_s_memory_are_refused_where_they_would_be_lost(
    learnt_run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("memory://out", "simplecache::memory://out"):
        with pytest.raises(InputError, match=f"^{out} lies in one process's memory, and ends with it; name a folder"):
            predict(str(learnt_run), [folder], Address(out), ray=RayOptions())
    for verb in (["predict", "run", "a.png"], ["convert", "shards", "a.json", "--images", "images"]):
        with pytest.raises(SystemExit, match="2"):
            main([*verb, "--out", "memory://out"])
        assert "memory://out lies in one process's memory" in capsys.readouterr().err


@pytest.mark.slow  # Ray takes a quarter of a minute to start
def test_ray_finds_what_one_process_finds(
    learnt_run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="Ray is missing: pip install 'unipan[ray]'")
    (folder / "deep/004.png").write_bytes(b"no image")
    verb = ["predict", str(learnt_run), str(folder), "--json"]
    with pytest.raises(SystemExit):
        main([*verb, "--out", str(tmp_path / "here")])
    expected = capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*verb, "--out", str(tmp_path / "ray"), "--engine", "ray", "--ray-predictors", "2"])
    found = capsys.readouterr()
    assert found.out == expected.out
    assert "deep/004.png" in found.err
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "here")


@pytest.mark.slow
def test_ray_reads_addresses_and_goes_on(learnt_run: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is missing: pip install 'unipan[ray]'")
    packed, here, out = shutil.make_archive(str(tmp_path / "packed"), "zip", folder), tmp_path / "here", tmp_path / "ray"
    predict(str(learnt_run), [folder], here)
    ray = ["--engine", "ray", "--ray-predictors", "2"]
    main(["predict", str(learnt_run), f"zip://::{packed}", "--out", str(out), *ray])
    expected = {name: content for name, content in files_of(here).items() if name.endswith((".png", ".jpg"))}
    assert len(expected) >= 8
    assert {name: content for name, content in files_of(out).items() if name in expected} == expected
    before = files_of(out)
    (out / "panoptic/001.png").unlink()
    main(["predict", str(learnt_run), f"zip://::{packed}", "--out", str(out), "--skip-done", *ray])
    after = files_of(out)
    assert after["panoptic/001.png"] == before["panoptic/001.png"]
    listed = [sorted(one["file_name"] for one in json.loads(files["panoptic.json"])["images"]) for files in (before, after)]
    assert listed[0] == listed[1]
