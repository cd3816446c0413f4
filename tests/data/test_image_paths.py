"""One lister of folders: what is data, what is left out, and where a JSON's images lie."""

from pathlib import Path

import pytest
from PIL import Image

from unipan.data.image_paths import check_apart, find_files, found_images, locate_images
from unipan.data.nearby import image_suffixes, nearby, spelled
from unipan.errors import InputError
from unipan.ops.images import read_image


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    "suffix", [".jpg", ".jfif", ".JPE", ".png", ".gif", ".ppm", ".pgm", ".bmp", ".TIFF", ".webp", ".tga", ".avif"]
)
def test_a_format_that_is_read_is_found(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    try:
        Image.new("L" if suffix == ".pgm" else "RGB", (4, 3), 50).save(path)
    except (KeyError, OSError):
        pytest.skip("this Pillow was built without it")
    assert read_image(path).shape == (3, 3, 4)
    assert find_files(tmp_path).paths == [path]


@pytest.mark.parametrize("suffix", [".pdf", ".h5", ".txt", ".json", ".mp4", ".mpg", ".eps", ""])
def test_what_is_no_image_is_none(suffix: str) -> None:
    assert suffix not in image_suffixes()


def test_all_levels_are_searched_and_the_rest_is_counted(tmp_path: Path) -> None:
    data = [".home/data/a.jpg", ".home/data/b/c/d.PNG", ".home/data/b.x/e.gif"]
    touch(tmp_path, *data, *(f".home/data/{name}" for name in ("._a.jpg", ".git/f.png", "b/n.txt", "m.TXT", "Makefile")))
    found = find_files(tmp_path / ".home" / "data")
    assert found.paths == sorted(tmp_path / name for name in data)
    assert (found.hidden, dict(found.other)) == (2, {".txt": 2, "": 1})
    assert found.left_out == "2 whose names begin with a dot and 3 of other kinds (no suffix: 1, .txt: 2)"


def test_nothing_left_out_is_nothing_to_say(tmp_path: Path) -> None:
    touch(tmp_path, "a.json", "b/c.JSON")
    found = find_files(tmp_path, {".json"})
    assert (len(found.paths), found.left_out) == (2, "")


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.jpg", "other/b.jpg")
    (tmp_path / "data" / "to_other").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "data")
    assert [path.name for path in find_files(tmp_path / "data").paths] == ["a.jpg", "b.jpg"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot list the folder .*gone: No such file"):
        locate_images(tmp_path / "gone", ["a.jpg"])
    with pytest.raises(InputError, match=r"cannot list the folder .*gone: No such file"):
        find_files(tmp_path / "gone")


def test_what_would_be_written_to_one_place_is_named_in_full() -> None:
    check_apart([Path("a/1.jpg"), Path("b/1.jpg")], ["a/1.png", "b/1.png"])
    with pytest.raises(InputError, match=r"^train/2\.jpg and val/2\.jpg would both become 2\.png"):
        check_apart([Path("train/2.jpg"), Path("val/2.jpg")], ["2.png", "2.png"])
    with pytest.raises(InputError, match=r"^2\.jpg and 2\.jpg would both"):
        check_apart(["2.jpg"] * 2, ["2.png"] * 2)  # one text, as JSON readers give what stands in a file twice


def test_backslashes_lead_into_folders_where_no_file_bears_them(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/b/2.jpg", "a\\3.jpg", "a/3.jpg")
    names = ["a\\1.jpg", "a\\b/2.jpg", "a\\3.jpg", "a\\4.jpg"]
    assert locate_images(tmp_path, names) == [["a/1.jpg"], ["a/b/2.jpg"], ["a\\3.jpg"], []]


def test_a_name_may_mean_one_file_none_or_several(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "c1/b.jpg", "c1/x.jpg", "c2/x.jpg", ".trash/gone.jpg")
    names = ["a.jpg", "b.jpg", "x.jpg", "gone.jpg", "c2/x.jpg", "c2/b.jpg"]
    paths = [sorted(some) for some in locate_images(tmp_path, names)]
    assert paths == [["a.jpg"], ["c1/b.jpg"], ["c1/x.jpg", "c2/x.jpg"], [], ["c2/x.jpg"], []]
    with pytest.raises(InputError, match=r"x\.jpg could be c1/x\.jpg, c2/x\.jpg"):
        found_images(tmp_path, names, Path("train.json"))
    assert found_images(tmp_path, ["b.jpg", "gone.jpg"], Path("train.json")) == ["c1/b.jpg", "gone.jpg"]


COMPOSED, PARTED = "m\u00fc.png", "mu\u0308.png"


@pytest.mark.parametrize(("there", "written"), [(COMPOSED, PARTED), (PARTED, COMPOSED)])
@pytest.mark.parametrize("above", ["", "day/"])
def test_both_unicode_forms_of_a_name_are_found(there: str, written: str, above: str, tmp_path: Path) -> None:
    touch(tmp_path, above + there, "deep/" + there.replace("m", "n"))
    assert spelled(tmp_path, above + written) == above + there
    names = [above + written, written.replace("m", "n")]
    assert locate_images(tmp_path, names) == [[above + there], ["deep/" + there.replace("m", "n")]]


def test_signs_that_are_kept_for_old_files_only_are_found_as_what_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "5\u03a9.png", "deep/6\u03a9.png")
    assert spelled(tmp_path, "5\u2126.png") == "5\u03a9.png"
    assert locate_images(tmp_path, ["deep/6\u2126.png", "6\u2126.png"]) == [["deep/6\u03a9.png"]] * 2


def test_of_two_names_that_differ_in_their_unicode_form_each_finds_its_own(tmp_path: Path) -> None:
    touch(tmp_path, f"deep/{COMPOSED}", f"deep/{PARTED}")
    for names in ([COMPOSED, PARTED], [PARTED, COMPOSED]):
        assert locate_images(tmp_path, names) == [[f"deep/{name}"] for name in names]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A.JPG", "a.jpg is there; write its name as it is"),
        ("a.png", "a.jpg is there; write its name as it is"),
        ("images/a.jpg", "{top}/images/a.jpg is there; name the folder {top}"),
        ("images\\a.jpg", "{top}/images/a.jpg is there; name the folder {top}"),
        ("sub\\B.JPG", "b.jpg is there; write its name as it is"),
        ("other/place/a.jpg", "a.jpg is there; write its name without what leads to the folder"),
        ("b.jpg", ""),
        ("x" * 300, ""),
        ("none/b.jpg", ""),
        ("no\0ne/b.jpg", ""),
    ],
)
def test_what_is_there_in_place_of_a_missing_file(name: str, said: str, tmp_path: Path) -> None:
    touch(tmp_path / "images", "a.jpg", "sub/b.jpg")
    assert nearby(tmp_path / "images", name) == said.format(top=tmp_path)
