"""Words of every class that a plan may name: none is forgotten, and each field changes them."""

from __future__ import annotations

import pytest

import swedge as sw
from plan_edits import edits
from swedge.assumptions import ByGroup, Structure
from swedge.inference import MultipleImputation
from swedge.plan import specs
from swedge.plan.codec import kinds
from swedge.plan.documents.words import WORDS, cautions, formula, in_words, known, references, smallest_p
from swedge.power import Shock

KINDS = {name: kind for name, kind in kinds().items() if kind.__module__ != specs.__name__}

GIVEN = {
    "PTE": sw.PTE(at=2),
    "ByGroup": ByGroup((("A", "B"), ("C",)), ("early", "late")),
    "Structure": Structure(("cluster", "treatment", "cluster_period", "individual")),
    "RandomEffects": sw.RandomEffects(
        cluster=0.1, cluster_period=0.1, treatment=0.1, treatment_corr=0.5, residual=1.0, autocorrelation=0.5, individual=0.2
    ),
    "Exchangeable": sw.Exchangeable(0.1, 0.2),
    "NestedExchangeable": sw.NestedExchangeable(0.1, 0.5, 0.2),
    "ExponentialDecay": sw.ExponentialDecay(0.1, 0.5, 0.2),
    "ProportionalDecay": sw.ProportionalDecay(0.1, 0.5),
    "CallawaySantAnna": sw.CallawaySantAnna(covariates=("size",), aggregate="dynamic", vcov="influence", df="normal"),
    "MixedModel": sw.MixedModel(df="satterthwaite"),
    "Imputation": sw.Imputation(aggregate="dynamic"),
    "TwoStage": sw.TwoStage(aggregate="dynamic"),
    "Shock": Shock("2020-03-01", "2020-06-01", -0.1),
    "MultipleImputation": MultipleImputation(auxiliary=("ward",)),
    "Scenario": sw.Scenario(
        family="gaussian",
        baseline=1.0,
        size=20.0,
        effect=0.3,
        sd=1.0,
        correlation=sw.NestedExchangeable(0.1, 0.5),
        shocks=(Shock("2020-03-01", "2020-06-01", -0.1),),
    ),
}

STUCK = {
    "Scenario.scale": "a Gaussian outcome has one scale",
    "Scenario.family": "another family needs other numbers",
    "Scenario.correlation.iac": "simulations draw cross-sections",
    "Scenario.dispersion": "belongs to a share",
    "Scenario.limit": "belongs to a duration",
    **{
        f"{name}.correlation.{part}": "estimated together, or given together"
        for name in ("MixedModel", "GEE")
        for part in ("icc", "cac", "iac")
    },
    "Imputation.leave_one_out": "asks for another variance",
}
"""Fields that nothing else can be put in while the others stay as they are."""


def example(name):
    return GIVEN.get(name) or KINDS[name]()


def test_law_no_class_is_forgotten():
    assert set(KINDS.values()) <= set(WORDS)


def test_law_a_class_without_words_falls_back_on_its_repr():
    spec = specs.Condition("trio", (1,))
    assert in_words(spec) == repr(spec)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_law_words_change_with_every_field(name):
    spec = example(name)
    changes = dict(edits(spec))
    mute = [path for path, others in changes.items() if others and all(in_words(other) == in_words(spec) for other in others)]
    stuck = {f"{name}.{path}" for path, others in changes.items() if not others}
    assert mute == []
    assert stuck == {path for path in STUCK if path.startswith(f"{name}.")}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_law_other_values_have_other_words(name):
    for path, others in edits(example(name)):
        assert len({in_words(other) for other in others}) == len({repr(other) for other in others}), path


@pytest.mark.parametrize("name", sorted(KINDS))
def test_law_words_are_one_paragraph_that_names_no_code(name):
    words = in_words(example(name))
    assert "\n" not in words
    assert "(vcov=" not in words
    assert f"{name}(" not in words


def test_law_sources_come_from_the_documentation():
    assert [s.split(" (")[0] for s in references(sw.Switchers())] == ["de Chaisemartin C, D'Haultfoeuille X"] * 2
    assert any("Bell RM" in source for source in references(sw.MarginalEffect()))
    assert "Kenward" in str(references(sw.MixedModel()))
    assert "Kenward" not in str(references(sw.MixedModel(df="between-within")))
    assert "Pustejovsky" not in str(references(sw.MixedModel()))
    assert "Pustejovsky" in str(references(sw.MixedModel(vcov="CR2", df="satterthwaite")))
    assert "Pustejovsky" in str(references(sw.FixedEffects()))
    assert references(sw.Constant()) == references(None) == ()
    assert all(source.endswith(".") for kind in KINDS.values() for source in references(example(kind.__name__)))


def test_law_formulas_name_what_the_model_has():
    assert "u_i + v_ij" in formula(sw.MixedModel())
    assert "v_ij" not in formula(sw.MixedModel(sw.Exchangeable()))
    assert formula(sw.MarginalEffect()) == formula(sw.FixedEffects())
    assert "θ(i, j)" in formula(sw.FixedEffects(effect=sw.ByExposure()))
    assert formula(sw.SunAbraham()) == ""


@pytest.mark.parametrize(
    "spec",
    [
        sw.MixedModel(sw.Exchangeable(), df="normal"),
        sw.MixedModel(df="normal"),
        sw.FixedEffects(vcov="CR0"),
        sw.FixedEffects(vcov="model", df="normal"),
        sw.FixedEffects(vcov="overdispersed"),
        sw.MarginalEffect(sw.FixedEffects(vcov="CR1")),
        sw.GEE(vcov="robust"),
        sw.WildBootstrapTest(),
    ],
)
def test_law_few_clusters_are_warned_of_and_many_are_not(spec):
    assert len(cautions(spec, 5)) == 1
    assert cautions(spec, 40) == ()


@pytest.mark.parametrize("spec", [sw.FixedEffects(), sw.MixedModel(), sw.GEE(), sw.RandomisationTest(), sw.WildBootstrapTest("webb")])
def test_law_defaults_for_few_clusters_are_not_warned_of(spec):
    assert cautions(spec, 5) == ()
    assert bool(known(spec, 5)) is isinstance(spec, sw.FixedEffects)
    assert known(spec, 40) == ""


def test_reference_smallest_p_is_what_the_test_reports():
    design = sw.Design.stepped_wedge(5, 6)
    rng_free = sw.Trial.from_cells([[10.0] * 6] * 5, [[k * j % 7 for j in range(6)] for k in range(1, 6)], design.randomise(seed=1))
    for test in (
        sw.RandomisationTest(interval=False),
        sw.RandomisationTest(draws=99, interval=False),
        sw.RandomisationTest(draws=500, interval=False),
    ):
        assert test.run(rng_free, sw.WithinPeriod()).min_p == pytest.approx(smallest_p(test, design.count(), design.min_p()), rel=1e-12)
    assert smallest_p(sw.JackknifeTest(), 12, 1 / 12) == 0
