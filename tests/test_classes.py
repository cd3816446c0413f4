"""The class table: order, lookups, merging, and what it refuses."""

import pytest

from unipan.class_colors import default_color
from unipan.classes import VOID, ClassInfo, ClassTable, category_fault, color_fault
from unipan.errors import InputError

CATEGORIES = [
    {"id": 7, "name": "road", "supercategory": "ground", "isthing": 0, "color": [1, 2, 3]},
    {"id": 3, "name": "car", "supercategory": "vehicle", "isthing": 1, "color": [4, 5, 6]},
    {"id": 9, "name": "pavement", "supercategory": "ground", "isthing": 0, "color": [7, 8, 9]},
    {"id": 1, "name": "bus", "supercategory": "vehicle", "isthing": 1, "color": [10, 11, 12]},
    {"id": 2, "name": "manhole", "supercategory": "ground", "isthing": 1, "color": [13, 14, 15]},
]


@pytest.fixture
def table() -> ClassTable:
    return ClassTable.from_categories(CATEGORIES)


def info(number: int) -> ClassInfo:
    return ClassInfo(name=f"class {number}", is_thing=True, dataset_id=number, color=(0, 0, 0), supercategory="all")


def test_a_class_is_its_place_in_the_data_sets_own_order(table: ClassTable) -> None:
    assert len(table) == 5
    assert [entry.name for entry in table.classes] == ["road", "car", "pavement", "bus", "manhole"]
    assert table.is_thing == (False, True, False, True, True)
    assert table.stuff == (0, 2)
    assert table.things == (1, 3, 4)
    assert table.index_of_dataset_id == {7: 0, 3: 1, 9: 2, 1: 3, 2: 4}
    assert table[3].color == (10, 11, 12)


def test_categories_round_trip(table: ClassTable) -> None:
    assert table.to_categories() == CATEGORIES
    assert ClassTable.from_categories(table.to_categories()) == table


def test_color_and_supercategory_may_be_missing() -> None:
    bare = [{"id": 1, "name": "sky", "isthing": 0}, {"id": 2, "name": "cat", "isthing": 1}]
    table = ClassTable.from_categories(bare)
    assert [entry.color for entry in table.classes] == [default_color(0), default_color(1)]
    assert [entry.supercategory for entry in table.classes] == ["sky", "cat"]


def test_default_colors_are_told_apart() -> None:
    colors = [default_color(index) for index in range(40)]
    assert len(set(colors)) == 40
    assert all(0 <= value <= 255 for color in colors for value in color)


def test_merging_keeps_things_and_stuff_apart(table: ClassTable) -> None:
    merged, index = table.merged_by_supercategory()
    assert [(entry.name, entry.is_thing, entry.dataset_id) for entry in merged.classes] == [
        ("ground (stuff)", False, 1),
        ("vehicle", True, 2),
        ("ground (things)", True, 3),
    ]
    assert index == (0, 1, 0, 1, 2)
    assert [entry.color for entry in merged.classes] == [(1, 2, 3), (4, 5, 6), (13, 14, 15)]


def test_merged_classes_without_a_color_take_those_of_a_table_of_their_number() -> None:
    bare = [{"id": n, "name": f"class {n}", "isthing": 0, "supercategory": f"group {n // 5}"} for n in range(20)]
    merged, _ = ClassTable.from_categories([bare[0] | {"color": [1, 2, 3]}, *bare[1:]]).merged_by_supercategory()
    assert [entry.color for entry in merged.classes] == [(1, 2, 3), *map(default_color, (1, 2, 3))]


@pytest.mark.parametrize("number", [0, VOID + 1])
def test_an_empty_or_overfull_table_is_refused(number: int) -> None:
    with pytest.raises(InputError, match=rf"1 to 32767 classes, but {number} came"):
        ClassTable(tuple(info(i) for i in range(number)))
    assert len(ClassTable(tuple(info(i) for i in range(VOID)))) == 32_767


@pytest.mark.parametrize(("change", "named"), [({"id": 7}, "dataset_id 7"), ({"name": "road"}, "name road")])
def test_repeated_ids_and_names_are_refused(change: dict, named: str) -> None:
    with pytest.raises(InputError, match=f"{named} stands more than once"):
        ClassTable.from_categories([CATEGORIES[0], CATEGORIES[1] | change])


@pytest.mark.parametrize("key", ["id", "name", "isthing"])
def test_a_category_without_what_it_needs_is_refused(key: str) -> None:
    lacking = {name: value for name, value in CATEGORIES[0].items() if name != key}
    with pytest.raises(InputError, match=f"lacks {key}; each needs"):
        ClassTable.from_categories([lacking])


@pytest.mark.parametrize(("id", "isthing"), [(7.0, 0.0), ("7", "0"), (7, False)])
def test_whole_numbers_in_other_forms_are_read(id: object, isthing: object) -> None:
    (read,) = ClassTable.from_categories([CATEGORIES[0] | {"id": id, "isthing": isthing}]).classes
    assert (read.dataset_id, read.is_thing) == (7, False)


@pytest.mark.parametrize("value", ["seven", 7.5, None, [7], "", float("nan")])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="no whole number"):
        ClassTable.from_categories([CATEGORIES[0] | {"id": value}])
    with pytest.raises(InputError, match="neither 0"):
        ClassTable.from_categories([CATEGORIES[0] | {"isthing": value}])


@pytest.mark.parametrize("color", ["#ff8000", "#FF8000", [255, 128, 0, 255], [255, 128, 0]])
def test_a_color_in_each_form(color: object) -> None:
    table = ClassTable.from_categories([{"id": 1, "name": "cat", "isthing": 1, "color": color}])
    assert table[0].color == (255, 128, 0)


@pytest.mark.parametrize("color", ["#ff80", "red", [0.5, 0.1, 0.2], [256, 0, 0], [1, 2]])
def test_what_is_no_color(color: object) -> None:
    entry = {"id": 1, "name": "cat", "isthing": 1, "color": color}
    with pytest.raises(InputError, match=r"color that is not .* each a whole number from 0 to 255"):
        ClassTable.from_categories([entry])
    assert color_fault(entry) == category_fault(entry)
    assert color_fault({"name": "cat"}) == ""
