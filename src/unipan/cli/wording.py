"""What help calls an option's value and its default, and what is said of words that are empty or no number: none of Python's."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import is_dataclass, replace
from inspect import Parameter
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from tyro.conf import Positional, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

from unipan.errors import InputError

AS_THE_RUN = "as the run has it"
FORMER_NAMES = {"--decoder": "--head"}
"""Options' names of one version before."""
NUMBERS: dict[Any, str] = {int: "a whole number", float: "a number"}


class NoNumber(InputError):
    """A word that was to be a number; who knows the option names it."""

    def __init__(self, word: str, wanted: str) -> None:
        super().__init__(f"{word} is not {wanted}.")
        self.word, self.wanted = word, wanted

    def named(self, printed: str) -> InputError:
        """The same with the option that the parser names in its own words."""
        found = re.search(r"(--[a-z][\w.-]*):", printed)
        return InputError(f"{found[1]} takes {self.wanted}, but {self.word} came.") if found else self


def present_names(arguments: Sequence[str], *, takes_head: bool) -> list[str]:
    """The words of a command line with options by their present names. takes_head: whether the command has such an option."""
    parted = [(word, *word.partition("=")) for word in arguments]
    return [FORMER_NAMES.get(name, name) + sign + value if takes_head else word for word, name, sign, value in parted]


def refuse_empty(own: Mapping[str, Parameter], words: str, arguments: Sequence[str]) -> None:
    """An empty word is a variable that a script has not set; as a path it would be the current folder. Texts may be empty.

    Likewise a list that is empty where none is given: --merge-parts without a file would not merge. own: the command's.
    Raises: InputError.
    """

    def default(option: str) -> Any:
        return getattr(own.get(option.removeprefix("--").replace("-", "_")), "default", None) if option[:2] == "--" else None

    for before, word, after in zip(["", *arguments], arguments, [*arguments[1:], "--"], strict=False):
        if default(word) == [] and after.startswith("--") and after != "--help":
            raise InputError(f"{word} came with nothing behind it, and it takes one or more; give them, or leave {word} out.")
        name, sign, value = word.partition("=")
        option, given = (name, value) if sign and name.startswith("--") else (before, word)
        if given:
            continue
        option = option if option.startswith("--") and "=" not in option else ""
        if default(option) != "" and "." not in option:  # of settings those that are texts may be empty too
            raise InputError(f"an empty word came {f'for {option}' if option else f'to {words}'}; see that the variable is set.")


def named(parameter: Parameter) -> Parameter:
    """The same; one that is taken by its place and has no word of its own is called by its name in help."""
    kind, *marks = get_args(parameter.annotation) if get_origin(parameter.annotation) is Annotated else (parameter.annotation,)
    if Positional not in marks or any(isinstance(mark, type(arg())) for mark in marks) or get_origin(kind) is Literal:
        return parameter
    word, required = parameter.name.upper(), parameter.default is parameter.empty
    if get_origin(kind) is list:
        word = f"{word.removesuffix('S')} ..." if required else f"[{word.removesuffix('S')} ...]"
        shown = arg(metavar=word, help_behavior_hint="(required)") if required else arg(metavar=word)
    else:
        shown = arg(metavar=word if required else f"[{word}]")
    return parameter.replace(annotation=Annotated[parameter.annotation, shown])


def rules(*, of_settings: bool, of_run: bool) -> ConstructorRegistry:
    """How values are read and shown. of_settings: None is a value of its own, as of some settings; else it stands for left out.

    of_run: what is left out is as the run has it, except where the option says otherwise.
    """
    registry = ConstructorRegistry()
    registry.primitive_rule(_number)
    registry.primitive_rule(_many)
    registry.struct_rule(_reflowed())
    if not of_settings:
        registry.primitive_rule(_left_out(AS_THE_RUN if of_run else "none"))
        registry.primitive_rule(_text)
    return registry


def _reflowed() -> Callable[[StructTypeInfo], StructConstructorSpec | None]:
    """A dataclass of settings, whose texts of help lose the line breaks that they have in the source."""
    under_way: list[Any] = []

    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not is_dataclass(info.type) or info.type in under_way:
            return None
        under_way.append(info.type)
        try:
            spec: Any = ConstructorRegistry.get_struct_spec(info)  # the parser's own, or its complaint
        finally:
            under_way.pop()
        if not isinstance(spec, StructConstructorSpec):
            return spec
        return replace(spec, fields=tuple(replace(one, helptext=_one_line(one.helptext)) for one in spec.fields))

    return rule


def _one_line(text: str | Callable[[], str | None] | None) -> Callable[[], str | None]:
    """The text, which the parser may be told later, without line breaks; None for none, which is then a section's own."""
    return lambda: " ".join(((text() if callable(text) else text) or "").split()) or None


def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    kind: Any = info.type
    if kind not in NUMBERS:
        return None

    def read(words: list[str]) -> Any:
        with suppress(ValueError):
            value = kind(words[0])
            if value == value:  # nan, which equals nothing, passes for no number either
                return value
        raise NoNumber(words[0], NUMBERS[kind])

    return PrimitiveConstructorSpec(1, kind.__name__.upper(), read, lambda value: type(value) is kind, lambda value: [str(value)])


def _text(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """A text, of which the empty one is none."""
    if info.type is not str:
        return None
    return PrimitiveConstructorSpec(
        1, "TEXT", lambda words: words[0], lambda value: isinstance(value, str), lambda value: [value or "none"]
    )


def _many(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """A list, or a tuple of any length or of two and more alike, of what is one word each."""
    parts, kind = get_args(info.type), get_origin(info.type)
    any_length = kind is list or parts[1:] == (...,)
    if kind is not list and not (kind is tuple and (any_length or len(set(parts)) == 1)):
        return None
    one = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(parts[0], info.markers))
    if not isinstance(one, PrimitiveConstructorSpec) or one.nargs != 1:
        return None
    return PrimitiveConstructorSpec(
        "*" if any_length else len(parts),
        f"[{one.metavar} ...]" if any_length else " ".join([one.metavar] * len(parts)),
        lambda words: kind(one.instance_from_str([word]) for word in words),
        lambda value: isinstance(value, kind) and (any_length or len(value) == len(parts)),
        lambda value: [word for part in value for word in one.str_from_instance(part)] or ["none"],
        one.choices,
    )


def _left_out(label: str) -> Callable[[PrimitiveTypeInfo], PrimitiveConstructorSpec | None]:
    """What may be None is shown as what it is otherwise. label: the default's name."""

    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
        others = [part for part in get_args(info.type) if part is not NoneType]
        if len(others) != 1 or NoneType not in get_args(info.type):
            return None
        one = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(others[0], info.markers))
        if not isinstance(one, PrimitiveConstructorSpec):
            return None
        return replace(
            one,
            is_instance=lambda value: value is None or one.is_instance(value),
            str_from_instance=lambda value: label.split() if value is None else one.str_from_instance(value),
        )

    return rule
