"""What the specifications of a plan mean, in words that are fixed for each class."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from swedge.estimators import GEE, FixedEffects, MarginalEffect, MixedModel
from swedge.inference import RandomisationTest, WildBootstrapTest
from swedge.plan.documents.words_assumptions import ASSUMPTIONS
from swedge.plan.documents.words_estimators import ESTIMATORS, formula
from swedge.plan.documents.words_tests import TESTS

ENOUGH_CLUSTERS = 40
WORDS = ESTIMATORS | TESTS | ASSUMPTIONS
SOURCE = re.compile(r"(?<=\.) (?=(?:de |van )?[A-Z][\w'-]+ [A-Z]{1,3}(?:, [^().]+)? \(\d{4}\)\.)")
"""Between two sources of a docstring: the next one begins with names and a year in brackets."""

__all__ = ["WORDS", "cautions", "formula", "in_words", "known", "references", "smallest_p"]


def in_words(spec: Any) -> str:
    """A specification in one sentence, or, of a class without words, its repr.

    >>> from swedge import Delayed, FixedEffects
    >>> in_words(Delayed(1))
    'no effect for 1 period after crossover and one constant effect afterwards'
    """
    words = WORDS.get(type(spec))
    return repr(spec) if words is None else words(spec)


def cautions(spec: Any, clusters: int) -> tuple[str, ...]:
    """What is known against an estimator or a test with so many clusters.

    >>> from swedge import FixedEffects, MixedModel
    >>> cautions(FixedEffects(), 5), len(cautions(MixedModel(df="normal"), 5))
    ((), 1)
    """
    if isinstance(spec, MarginalEffect):
        return cautions(spec.estimator, clusters)
    found = [_of_fixed(spec), _of_mixed(spec), _of_gee(spec)] if clusters < ENOUGH_CLUSTERS else []
    return tuple(f"With {clusters} clusters {text}" for text in [*found, _of_bootstrap(spec, clusters)] if text)


def known(spec: Any, clusters: int) -> str:
    """What simulations say for an estimator with so few clusters; empty where nothing is known.

    >>> from swedge import FixedEffects, WithinPeriod
    >>> known(WithinPeriod(), 5), known(FixedEffects(), 5)[:24]
    ('', 'In simulated trials with')
    """
    if isinstance(spec, MarginalEffect):
        return known(spec.estimator, clusters)
    if clusters >= ENOUGH_CLUSTERS or not isinstance(spec, FixedEffects) or spec.vcov != "CR2" or spec.df_method != "satterthwaite":
        return ""
    return (
        "In simulated trials with five clusters this test kept close to its nominal level, also when clusters"
        " drifted apart, and paid for it in"
        " power (swedge.studies.size_table)."
    )


def _of_fixed(spec: Any) -> str:
    if isinstance(spec, FixedEffects) and spec.vcov == "overdispersed":
        return (
            "this analysis has more power than CR2, and rests on an assumption: noise between cluster-periods has the same size in every"
            " cluster and is independent between periods."
        )
    if isinstance(spec, FixedEffects) and (spec.vcov in ("CR0", "CR1", "model") or spec.df == "normal"):
        return (
            "these standard errors are too small, and the test rejects a true null too often. Read CR2 with Satterthwaite"
            " degrees of freedom beside it."
        )
    return ""


def _of_mixed(spec: Any) -> str:
    if not isinstance(spec, MixedModel):
        return ""
    if "cluster_period" not in spec.correlation.structure().effects:
        return (
            "this test holds its size only if all clusters share one secular trend exactly, as the model"
            " has no cluster-by-period term: with noise"
            " between cluster-periods it rejected a true null in 9% to 27% of simulated trials with a binary"
            " outcome and five clusters, where 5%"
            " are allowed (swedge.studies.size_table). It must not be read alone."
        )
    if spec.df == "normal" or spec.vcov in ("CR0", "CR1"):
        return "this test rejects a true null too often, as variances of random effects come out too small. It must not be read alone."
    return ""


def _of_gee(spec: Any) -> str:
    if isinstance(spec, GEE) and (spec.vcov in ("robust", "model") or spec.df == "normal"):
        return "this combination of standard errors and degrees of freedom does not hold its size. Read KC with clusters minus 2 beside it."
    return ""


def _of_bootstrap(spec: Any, clusters: int) -> str:
    smallest = 2 / 2**clusters if isinstance(spec, WildBootstrapTest) and spec.weights == "rademacher" else 0.0
    if smallest <= 0.02:
        return ""
    return f"random signs give only {2**clusters} samples, so that p of the wild bootstrap cannot be below {smallest:.4f}."


def smallest_p(test: Any, count: int, smallest: float) -> float:
    """The smallest p of a randomisation test under a design with so many allocations; 0 of a test that has no such bound.

    >>> smallest_p(RandomisationTest(draws=99), 120, 1 / 120)
    0.01
    """
    if not isinstance(test, RandomisationTest):
        return 0.0
    listed = 20_000 if test.draws is None else test.draws
    drawn = 9_999 if test.draws is None else test.draws
    return smallest if count <= listed else max(1 / (drawn + 1), smallest)


def references(spec: Any) -> tuple[str, ...]:
    """Sources that a specification's classes name in their documentation, those of its parts among them.

    >>> from swedge import TwoWayFixedEffects, SunAbraham
    >>> [source.split(" (")[0] for source in references(SunAbraham())]
    ['Sun L, Abraham S']
    """
    if not is_dataclass(spec):
        return ()
    parts = [source for field in fields(spec) for source in references(getattr(spec, field.name))]
    kind: type = type(spec)
    return tuple(dict.fromkeys([*(source for source in _documented(kind) if _applies(source, spec)), *parts]))


def _applies(source: str, spec: Any) -> bool:
    """Whether a specification uses what a source is cited for."""
    needed = {"Kenward MG, Roger JH": ("df", "kenward-roger"), "Pustejovsky JE": ("vcov", "CR")}
    asked = [(getattr(spec, name), begins) for author, (name, begins) in needed.items() if source.startswith(author)]
    return all(str(value).startswith(begins) for value, begins in asked)


@cache
def _documented(kind: type) -> tuple[str, ...]:
    lines = (inspect.getdoc(kind) or "").split("\n")
    start = lines.index("References") + 2 if "References" in lines else len(lines)
    end = next((k for k in range(start, len(lines)) if lines[k].startswith("---")), len(lines) + 1) - 1
    return tuple(SOURCE.split(" ".join(line.strip() for line in lines[start:end]).strip())) if start < end else ()
