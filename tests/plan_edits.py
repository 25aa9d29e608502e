"""Every single change of one field that a frozen specification accepts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import swedge as sw
from swedge.errors import SwedgeError
from swedge.plan import specs
from swedge.plan.hints import fits, hints_of

SHARED = {
    "vcov": ("CR0", "CR1", "model", "influence"),
    "df": ("clusters", "normal", "satterthwaite"),
    "weigh": ("size", "equal", "harmonic"),
    "family": ("binomial", "poisson", "gaussian", "duration"),
    "role": specs.ROLES,
    "part": specs.PARTS,
    "holds": specs.KINDS,
    "rule": specs.RULES,
    "missing": specs.RULES,
    "method": ("bonferroni", "maxT"),
    "link": ("log", "logit", "identity"),
    "groups": ((("A", "C"), ("B",)),),
    "labels": (("x", "y"),),
    "correlation": (sw.Exchangeable(0.3), sw.Exchangeable()),
    "effect": (sw.Linear(3),),
    "curve": (sw.Linear(3),),
    "estimand": (sw.TATE(1, 2),),
    "estimator": (sw.GEE(),),
    "test": (sw.JackknifeTest(),),
    "noise_by_cluster": ((1.0, 2.0),),
    "effect_by_cluster": ((1.0, 2.0),),
    "covariates": ("C(trio)", ""),
    "tests": ((),),
    "populations": (("trio",),),
    "outcomes": (("looked_after", "proceedings"),),
    "without": (("Wandsworth",),),
    "without_clusters": (("Wandsworth",),),
    "without_periods": ((3,),),
    "event": ("happened",),
    "where": ((specs.Condition("trio", (1,)),),),
    "start": ("2020-04-01",),
    "end": ("2020-05-01",),
    "late": ((0.0, 1.0),),
}
"""Further values to try, by the name of the field."""

REFUSED = (SwedgeError, TypeError, ValueError, ArithmeticError, AttributeError, KeyError)


def edits(spec: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Dotted paths of all leaves, each with the versions of `spec` in which only that leaf differs: none where nothing else is accepted."""
    for field in fields(spec):
        where = f"{path}.{field.name}" if path else field.name
        for leaf, values in _changes(getattr(spec, field.name), type(spec), field.name, where):
            yield leaf, list(_accepted(spec, field.name, values))


def _changes(value: Any, kind: type, name: str, where: str) -> Iterator[tuple[str, list[Any]]]:
    if is_dataclass(value) and not isinstance(value, type):
        yield where, list(SHARED.get(name, ()))
        yield from edits(value, where)
    elif isinstance(value, tuple) and any(is_dataclass(entry) for entry in value):
        for k, entry in enumerate(value):
            inner = f"{where}.{getattr(entry, 'name', getattr(entry, 'item', k))}"
            for leaf, values in edits(entry, inner):
                yield leaf, [(*value[:k], changed, *value[k + 1 :]) for changed in values]
    else:
        yield where, _others(value, kind, name)


def _others(value: Any, kind: type, name: str) -> list[Any]:
    """Other values that the field may hold: documented choices first."""
    listed = _documented(kind, name)
    return [*SHARED.get(name, ()), *listed, *([] if listed and isinstance(value, str) else _near(value))]


def _documented(kind: type, name: str) -> list[Any]:
    listed = re.search(rf"^(?:\w+, )*{name}(?:, \w+)* : .*?{{(.*?)}}", inspect.getdoc(kind) or "", re.MULTILINE)
    return re.findall(r'"([^"]+)"', listed[1]) if listed else []


def _near(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, value + 2]
    if isinstance(value, float):
        return [value / 2 + 0.015625, value / 3, value * 2, value + 1]
    if isinstance(value, str):
        return [f"{value}X", f"{value}1", "", "2021-03-04"]
    if isinstance(value, tuple):
        return [*([value[:-1]] if value else []), (*value, "extra"), (*value, 7), (*value, value[-1] if value else "x"), (("a", 1),)]
    return [2, 0.25, 1, "other", True, False, (0.5, 0.25), ("x",)]


def _accepted(spec: Any, name: str, values: list[Any]) -> Iterator[Any]:
    hint = hints_of(type(spec)).get(name)
    for value in values:
        if hint is not None and not fits(value, hint):
            continue
        try:
            changed = replace(spec, **{name: value})
        except REFUSED:
            continue
        if repr(changed) != repr(spec):
            yield changed
