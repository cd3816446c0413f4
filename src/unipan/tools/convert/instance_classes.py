"""The classes of a COCO instance JSON, with those that the options add to them."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from unipan.classes import ClassTable, category_fault
from unipan.errors import InputError, about
from unipan.json_values import read_as

Category = dict[str, Any]


def own_classes(path: Path, categories: list[Category], used: Collection[int]) -> tuple[list[Category], list[str]]:
    """A JSON's categories, each with a number as id, and a sentence for each that is left out, since its name stands again.

    used: ids of the categories that annotations have. Exporters such as Roboflow's list a super-category of the class's own name,
    which is left out also where no annotation has the class: it keeps its id in all splits.
    Raises: InputError for an entry that is no class, and for two that bear one name and are both used.
    """
    with about(path):
        entries = [_read_class(entry) for entry in categories]
        of_name, below = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        for entry in entries:
            of_name[entry["name"]].append(entry["id"])
            if entry.get("supercategory") == entry["name"]:
                below[entry["name"]].append(entry["id"])
        left_out = {}
        for name, ids in of_name.items():
            kept = [id for id in ids if id in used] or (below[name] or ids)[-1:]
            if len(set(kept)) > 1:
                raise InputError(
                    f"the categories {kept[0]} and {kept[1]} are both called {name!r}, and annotations have both; give one "
                    "another name, or all these annotations one id."
                )
            others = [id for id in ids if id not in kept]
            left_out |= {
                id: f"The category {id} is left out: no annotation has it, and {kept[0]} is {name!r} too." for id in others
            }
        kept_entries = [entry for entry in entries if entry["id"] not in left_out]
        _check_apart(kept_entries)
    return kept_entries, list(left_out.values())


def class_table(categories: list[Category], stuff: list[Category], background: str | None) -> ClassTable:
    """The categories, stuff where `stuff` lists them or they call themselves so (isthing 0); further stuff; the background last.

    Entries of `stuff` that call themselves things (isthing) are passed over, so that it may be a list of all classes.
    """
    with about("--stuff"):
        stuff = [_read_class(entry) for entry in stuff if not read_as(int, entry.get("isthing"))]
        _check_apart(stuff)
    stuff_names = {entry["id"]: entry["name"] for entry in stuff}
    name_of, id_of = {entry["id"]: entry["name"] for entry in categories}, {entry["name"]: entry["id"] for entry in categories}
    for id, name in stuff_names.items():
        if name_of.get(id, name) != name:
            raise InputError(
                f"the id {id} is {name_of[id]!r} in the categories but {name!r} in --stuff; give the two classes ids of "
                "their own."
            )
        if id_of.get(name, id) != id:
            raise InputError(
                f"{name!r} has the id {id} in --stuff but {id_of[name]} in the categories; write that id if it is the same "
                "class, else another name."
            )
    if background and background in {*id_of, *stuff_names.values()}:
        raise InputError(f"--background {background} is the name of another class; name the background otherwise.")
    is_stuff = {entry["id"] for entry in categories if read_as(int, entry.get("isthing")) == 0} | {*stuff_names}
    entries = [entry | {"isthing": int(entry["id"] not in is_stuff)} for entry in categories]
    entries += [entry | {"isthing": 0} for entry in stuff if entry["id"] not in name_of]
    if background:
        entries.append({"id": max((entry["id"] for entry in entries), default=0) + 1, "name": background, "isthing": 0})
    if not entries:
        raise InputError("the JSON lists no categories; add them, or name classes with --stuff or --background.")
    return ClassTable.from_categories(entries)


def _check_apart(entries: list[Category]) -> None:
    """Refuse an id or a name that stands twice; whether a class is a thing does not matter here."""
    if entries:
        ClassTable.from_categories([entry | {"isthing": 0} for entry in entries])


def _read_class(entry: Category) -> Category:
    """A class's entry, which need not say what it is, with its id as a number."""
    if "id" not in entry or "name" not in entry:
        raise InputError(f"the class {entry} lacks id or name; each needs both.")
    fault = category_fault(entry | {"isthing": 0})
    if fault:
        raise InputError(f"the class {entry} {fault}.")
    return entry | {"id": read_as(int, entry["id"])}
