"""`unipan tables`: the tables of the paper's supplementary."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from tyro.conf import arg
from tyro.extras import SubcommandApp

from unipan.cli.options import Settings, print_json
from unipan.cli.parse import deferred
from unipan.config import Config
from unipan.presets import PRESETS
from unipan.recipes.tables.paper_tables import LETTERS, Letter

tables_app = SubcommandApp()


def _table_of(letter: Letter, preset: Callable[[], Config]) -> Callable[..., None]:
    """The command that makes one table with one preset."""

    def command(
        config: Settings,
        *,
        out: Path,
        seeds: tuple[int, ...] = (0, 1, 2),
        as_json: Annotated[bool, arg(name="json")] = False,
    ) -> None:
        from unipan.console import results
        from unipan.engine.processes import this_process
        from unipan.recipes.tables.make import make_table

        filled = make_table(letter, config, out, seeds)
        if not this_process().is_main:
            return
        if as_json:
            print_json(filled.to_json())
            return
        results.print(filled.table())
        for note in filled.notes:
            results.print(note, soft_wrap=True)
        results.print(f"Written to {out / f'table_{letter}.md'} and .json; the runs are in {out}.", soft_wrap=True)

    command.__defaults__ = (preset(),)
    command.__name__ = preset.__name__
    command.__doc__ = f"""{preset.__doc__}

    Args:
        config: Every setting that the table's methods share.
        out: Folder for the runs and the table; finished runs in it are reused, stopped ones resumed.
        seeds: One training of each method for each of these.
        as_json: Print the table as JSON.
    """
    return command


for _letter in LETTERS:
    _of_letter = SubcommandApp()
    for _preset in PRESETS.values():
        _of_letter.command(deferred(_table_of(_letter, _preset)))
    tables_app.command(_of_letter, name=_letter, help=f"Table {_letter.upper()} of the paper's supplementary, with a preset.")
