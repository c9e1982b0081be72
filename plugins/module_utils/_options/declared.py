# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a use case, declared once: a frozen dataclass with annotations that also define Ansible's argument spec.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Options(declared.Options):
        # Options that several modules share, flat in the argument spec.
        access: RepositoryOptions

        # Required, since it has no default.
        signing_key: Path
        state: t.Literal["present", "absent"] = "present"
        recipients: tuple[str, ...] = ()

        # A list of dictionaries, since `Volume` is a `Suboptions`.
        volumes: tuple[Volume, ...] = ()

An option that may be left out without a default is `X | None = None`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing as t

from .._errors import OptionError

Values = t.Mapping[str, t.Any]
Spec = dict[str, dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Rules:
    """Relations between options, in the form of `AnsibleModule`."""

    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()
    required_if: tuple[tuple[t.Any, ...], ...] = ()

    def __add__(self, other: Rules) -> Rules:
        return Rules(*(getattr(self, one.name) + getattr(other, one.name) for one in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True, eq=False)
class Is:
    """Additional keys of an argument spec that an annotation cannot express: `t.Annotated[str, Is(choices=[...])]`."""

    spec: Values

    def __init__(self, **spec: t.Any) -> None:
        object.__setattr__(self, "spec", spec)


# A path is not a secret, even if the name of its option looks like one.
Path = t.Annotated[str, Is(type="path", no_log=False)]
# Not a secret, although Ansible would treat it as one because of its name.
Word = t.Annotated[str, Is(no_log=False)]
Secret = t.Annotated[str, Is(no_log=True)]

Kind = t.TypeVar("Kind", bound="_Declared")
T = t.TypeVar("T")


def needed(value: T | None, name: str) -> T:
    """Return an option that only some calls need. Raises OptionError if it is None."""
    if value is None:
        raise OptionError(f"{name} is missing; set it")
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Declared:
    RULES: t.ClassVar[Rules] = Rules()

    @classmethod
    def of(cls: type[Kind], given: Values) -> Kind:
        """Create options from parameters that Ansible has checked, so that each option has a value or None."""
        return cls(**{one.field: one.value(given) for one in _declarations(cls)})

    @classmethod
    def spec(cls) -> Spec:
        """Return the keyword argument `argument_spec` of `AnsibleModule`."""
        return {name: about for one in _declarations(cls) for name, about in one.spec().items()}

    @classmethod
    def rules(cls) -> Rules:
        return sum((one.rules() for one in _declarations(cls)), cls.RULES)

    def flat(self) -> dict[str, t.Any]:
        """Return each option that has a value, in Ansible's form, to build the options of another use case."""
        return {name: value for one in _declarations(type(self)) for name, value in one.flat(getattr(self, one.field)).items()}


class Options(_Declared):
    """Options of a module. As the annotation of a field, options that several modules share."""


class Suboptions(_Declared):
    """A dictionary in an option."""


@dataclasses.dataclass(frozen=True)
class _Declaration:
    """One field. `kind` is its type without `None`, and `about` has the annotation's additions. `default` is MISSING if it is required."""

    field: str
    kind: t.Any
    about: Values
    optional: bool
    default: t.Any

    def __post_init__(self) -> None:
        if self.optional and self.is_shared and not _required(self.kind):
            raise TypeError(f"the group {self.field} has no required option, so it cannot be optional: it would always be None")

    @property
    def name(self) -> str:
        """The name of the option. A field named like a Python keyword ends with an underscore."""
        return self.field.rstrip("_")

    @property
    def is_shared(self) -> bool:
        return isinstance(self.kind, type) and issubclass(self.kind, Options)

    def value(self, given: Values) -> t.Any:
        if not self.is_shared:
            return _typed(self.kind, given[self.name])
        if self.optional and all(given[name] is None for name in _required(self.kind)):
            return None
        return self.kind.of(given)

    def flat(self, value: t.Any) -> dict[str, t.Any]:
        if value is None:
            return {}
        return value.flat() if self.is_shared else {self.name: _raw(value)}

    def spec(self) -> Spec:
        if self.is_shared:
            spec: Spec = self.kind.spec()
            return {name: {**about, "required": False} if self.optional else about for name, about in spec.items()}
        about = {**_spec(self.kind), **self.about}
        if self.default is dataclasses.MISSING:
            about["required"] = True
        elif self.default is not None:
            about["default"] = _raw(self.default)
        return {self.name: about}

    def rules(self) -> Rules:
        if not self.is_shared:
            return Rules()
        own: Rules = self.kind.rules()
        return own + Rules(required_together=(tuple(_required(self.kind)),)) if self.optional else own


def _required(kind: type[_Declared]) -> list[str]:
    return [name for name, about in kind.spec().items() if about.get("required")]


def _declarations(kind: type[_Declared]) -> tuple[_Declaration, ...]:
    return _read(t.cast("t.Hashable", kind))


@functools.cache
def _read(kind: t.Any) -> tuple[_Declaration, ...]:
    hints = t.get_type_hints(kind, include_extras=True)
    return tuple(_declaration(one, hints[one.name]) for one in dataclasses.fields(kind))


def _declaration(field: dataclasses.Field[t.Any], hint: t.Any) -> _Declaration:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    kinds = t.get_args(hint) if t.get_origin(hint) in (t.Union, types.UnionType) else (hint,)
    (kind,) = (one for one in kinds if one is not type(None))
    kind, about = _plain(kind)
    return _Declaration(field.name, kind, about, len(kinds) > 1, default)


def _plain(kind: t.Any) -> tuple[t.Any, Values]:
    """Return a type without its annotations, and the annotations."""
    if t.get_origin(kind) is not t.Annotated:
        return kind, {}
    about = {name: value for one in kind.__metadata__ if isinstance(one, Is) for name, value in one.spec.items()}
    return kind.__origin__, about


_NAMES: dict[t.Any, str] = {str: "str", int: "int", float: "float", bool: "bool"}


def _spec(kind: t.Any) -> dict[str, t.Any]:
    origin, arguments = t.get_origin(kind), t.get_args(kind)
    if origin is tuple:
        element, about = _plain(arguments[0])
        of_each = {**_spec(element), **about}
        return {**of_each, "type": "list", "elements": of_each["type"]}
    if origin is t.Literal:
        return {"type": "str" if isinstance(arguments[0], str) else "int", "choices": list(arguments)}
    if isinstance(kind, type) and issubclass(kind, Suboptions):
        return {"type": "dict", "options": kind.spec()}
    return {"type": _NAMES.get(kind, "dict")}


def _typed(kind: t.Any, value: t.Any) -> t.Any:
    if value is None:
        return None
    if t.get_origin(kind) is tuple:
        element, _about = _plain(t.get_args(kind)[0])
        return tuple(_typed(element, one) for one in value)
    if isinstance(kind, type) and issubclass(kind, Suboptions) and not isinstance(value, kind):
        return kind.of(value)
    return value


def _raw(value: t.Any) -> t.Any:
    if isinstance(value, tuple):
        return [_raw(one) for one in value]
    return value.flat() if isinstance(value, Suboptions) else value
