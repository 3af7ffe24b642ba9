"""Tell griffe what attrs does: a class with fields has an `__init__` that takes them.

Read by mkdocs.yml. Without it the reference would call every field required and know no type.
"""

from __future__ import annotations

import ast
from typing import Any

import griffe

KEYWORD_ONLY = griffe.ParameterKind.keyword_only


class AttrsFields(griffe.Extension):
    """Adds that `__init__` to each class with a decorator of attrs, when its module has been read."""

    def on_module_members(self, *, mod: griffe.Module, **_: Any) -> None:
        """See `griffe.Extension`."""
        for cls in mod.classes.values():
            if not cls.is_alias and is_attrs(cls) and "__init__" not in cls.members:
                cls.set_member("__init__", constructor(cls))


def is_attrs(cls: griffe.Class) -> bool:
    """Say whether attrs writes the class's `__init__`."""
    return any(str(decorator.value).startswith("attrs.") for decorator in cls.decorators)


def constructor(cls: griffe.Class) -> griffe.Function:
    """Return the `__init__` of an attrs class: base classes' fields first, if from its module."""
    keyword_only = any("kw_only=True" in str(decorator.value) for decorator in cls.decorators)
    kind = KEYWORD_ONLY if keyword_only else griffe.ParameterKind.positional_or_keyword
    own = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    parameters = {"self": own}
    for each in (*reversed(local_bases(cls)), cls):
        for field in each.attributes.values():
            if taken := parameter(field, kind):
                parameters[taken.name] = taken
    init = griffe.Function("__init__", parameters=griffe.Parameters(*parameters.values()))
    init.parent = cls
    return init


def local_bases(cls: griffe.Class) -> list[griffe.Class]:
    """Return the attrs classes of the same module that it derives from, nearest first."""
    found: list[griffe.Class] = []
    for base in map(str, cls.bases):
        there = cls.module.members.get(base)
        if isinstance(there, griffe.Class) and is_attrs(there):
            found += [there, *local_bases(there)]
    return found


def parameter(
    field: griffe.Attribute,
    kind: griffe.ParameterKind,
) -> griffe.Parameter | None:
    """Return what a field is to `__init__`, or `None` if it is nothing to it."""
    value = str(field.value) if field.value is not None else None
    annotation = field.annotation
    if annotation is None or str(annotation).startswith("ClassVar") or "property" in field.labels:
        return None
    name, default = field.name.lstrip("_"), value
    if value is not None and value.startswith("attrs.field("):
        call = ast.parse(value, mode="eval").body
        options = {key.arg: ast.unparse(key.value) for key in getattr(call, "keywords", [])}
        if options.get("init") == "False":
            return None
        if options.get("kw_only") == "True":
            kind = KEYWORD_ONLY
        made = options.get("factory")
        default = options.get("default", f"{made}()" if made else None)
    return griffe.Parameter(name, annotation=annotation, kind=kind, default=default)
