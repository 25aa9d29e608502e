"""Analytic power against software that nobody on this project wrote, and against published numbers.

golden/power_peers.json holds records of every kind; where ../shared is beside the repository all of its records are tried. Issue 3 asks for
variances to 1e-9 relative and powers to 1e-6. Both sides are exact, and agree to 1e-13; the tests ask 1e-11. swdpwr alone reports
powers from a normal distribution of its own that is good to about 1e-8. Printed numbers are held to their last digit.
"""

from __future__ import annotations

import json
from functools import cache
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference_data as data
import swedge as sw
from power import translate
from power.translate import Case, NotCovered, Record
from swedge.studies import family_safeguarding

EXACT = 1e-11
OWN_NORMAL = {"swdpower": 1e-7}
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "power_peers.json").read_text())


def records() -> list[Record]:
    """The committed records, then the rest of the folder where it is there."""
    folder, ours = data.shared_folder(), {record["id"] for record in GOLDEN["records"]}
    everything = json.loads((folder / "oracle" / "power_peers.json").read_text())["records"] if folder else []
    return GOLDEN["records"] + [record for record in everything if record["id"] not in ours]


def named(chosen: list[Record]) -> list[Any]:
    return [pytest.param(record, id=f"{record['function']}-{record['id']}") for record in chosen]


def covered(record: Record) -> bool:
    try:
        translate.case_of(record)
    except NotCovered:
        return False
    return True


ALL = [record for record in records() if record["function"] not in translate.OTHERS]
COVERED = [record for record in ALL if covered(record)]


@cache
def case_of(name: str) -> Case:
    return translate.case_of(next(record for record in COVERED if record["id"] == name))


def first(output: Record, *names: str) -> float | None:
    """The first of several fields that is there; R gives some scalars as vectors."""
    found = next((output[name] for name in names if output.get(name) is not None), None)
    return None if found is None else float(np.ravel(found)[0])


def power_in(record: Record) -> float | None:
    """The peer's power; a `value` is one unless a number of clusters was asked for."""
    value = [] if "sample_size" in record["tags"] else ["value"]
    return first(record["output"], "power", "power_normal_one_tail", *value)


@pytest.mark.parametrize("record", named([r for r in COVERED if first(r["output"], "var_theta", "var_theta_alt") is not None]))
def test_variance(record: Record) -> None:
    assert case_of(record["id"]).variance() == pytest.approx(first(record["output"], "var_theta", "var_theta_alt"), rel=EXACT)


@pytest.mark.parametrize("record", named([r for r in COVERED if power_in(r) is not None]))
def test_power_in_the_convention_of_the_peer(record: Record) -> None:
    allowed = OWN_NORMAL.get(record["function"], EXACT)
    assert case_of(record["id"]).power() == pytest.approx(power_in(record), abs=allowed)


def is_ours(case: Case) -> bool:
    """Whether the peer means what we mean: both tails, the normal, our total variance."""
    return (case.tails, case.df, case.ratio) == (2, np.inf, 1.0) and not case.null


@pytest.mark.parametrize("record", named([r for r in COVERED if power_in(r) is not None and is_ours(case_of(r["id"]))]))
def test_our_power_where_conventions_agree(record: Record) -> None:
    allowed = OWN_NORMAL.get(record["function"], EXACT)
    assert case_of(record["id"]).ours().power == pytest.approx(power_in(record), abs=allowed)


@pytest.mark.parametrize("record", named([r for r in COVERED if r["output"].get("cell_weights")]))
def test_weights_of_cells(record: Record) -> None:
    weights = np.array(record["output"]["cell_weights"], dtype=float)
    np.testing.assert_allclose(case_of(record["id"]).ours().weights, weights, atol=EXACT, rtol=0)


@pytest.mark.parametrize("record", named([r for r in COVERED if "var_theta_null" in r["output"]]))
def test_variance_under_the_null(record: Record) -> None:
    """swGlmPwr's critical value rests on it."""
    found = case_of(record["id"]).ours(effect=0.0).std_error ** 2
    assert found == pytest.approx(first(record["output"], "var_theta_null"), rel=EXACT)


# Every record that is not covered, and a word of the reason: a translation that stops working must not pass for a limit
UNCOVERED = {
    "swCRTdesign-123": "differs between exposure times",
    "SteppedPower-160": "the peer itself failed",
    "SteppedPower-502": "individual effects that decay beside an independent residual",
    **dict.fromkeys(["clusterPower-555", "clusterPower-557", "clusterPower-559"], "maximum likelihood"),
    **dict.fromkeys(["swdpwr-001", "swdpwr-049"], "maximum likelihood"),
    **dict.fromkeys([f"swdpwr-{number}" for number in range(301, 323, 2)], "maximum likelihood"),
}


def test_what_is_not_covered() -> None:
    out_of_reach = {record["id"]: record for record in ALL if not covered(record)}
    assert set(out_of_reach) <= set(UNCOVERED)
    for name, record in out_of_reach.items():
        with pytest.raises(NotCovered, match=UNCOVERED[name]):
            translate.case_of(record)


# Searches ---------------------------------------------------------------------------------------------------------------------------------

SEARCHED = [r for r in COVERED if "sample_size" in r["tags"] and r["function"] == "glsPower"]


@pytest.mark.parametrize("record", named([r for r in SEARCHED if "infeasible" not in r["tags"]]))
def test_numbers_of_individuals(record: Record) -> None:
    case = case_of(record["id"])
    asked = {name: value for name, value in case.arguments.items() if name != "size"}
    found = sw.required_size(case.design, allocation=case.allocation, power=record["inputs"]["power"], df="normal", **asked)
    assert found.assumed.size == record["output"]["N_opt"]
    assert found.power == pytest.approx(record["output"]["power"], abs=EXACT)


@pytest.mark.parametrize("record", named([r for r in SEARCHED if "infeasible" in r["tags"]]))
def test_where_the_peer_returns_its_largest_number_we_say_why(record: Record) -> None:
    case = case_of(record["id"])
    asked = {name: value for name, value in case.arguments.items() if name != "size"}
    with pytest.raises(sw.DesignError, match=r"No number of individuals gives power 0\.8: with infinitely many it is 0\.110, because"):
        sw.required_size(case.design, allocation=case.allocation, power=0.8, df="normal", **asked)


@pytest.mark.parametrize("record", named([r for r in COVERED if r["function"] == "cpa.sw.normal" and "sample_size" in r["tags"]]))
def test_numbers_of_clusters(record: Record) -> None:
    """The peer gives a fraction of a cluster a step, for one tail; whole clusters are the next number."""
    case = case_of(record["id"])
    found = sw.required_clusters(case.design, power=record["inputs"]["power"], df="normal", **case.arguments)
    fraction = first(record["output"], "value")
    assert fraction is not None
    assert found.design.n_clusters == ceil(fraction) * case.design.n_clusters
    at_fraction = abs(case.arguments["effect"]) / sqrt(case.variance() / fraction) - stats.norm.ppf(0.975)
    assert stats.norm.cdf(at_fraction) == pytest.approx(0.8, abs=1e-6)  # the root finder of R stops there


# Conversions ------------------------------------------------------------------------------------------------------------------------------


def variances_of(correlation: sw.NestedExchangeable) -> dict[str, float]:
    """Variances of the parts at a total of 1."""
    icc, cac = correlation.icc or 0.0, correlation.cac or 0.0
    own = (1 - icc) * correlation.iac
    return {"tau": icc * cac, "gamma": icc * (1 - cac), "psi": own, "residual": (1 - icc) * (1 - correlation.iac)}


@pytest.mark.parametrize("record", named([r for r in records() if r["function"] in ("icc_to_RandEff", "alpha012_to_RandEff")]))
def test_conversions(record: Record) -> None:
    i, o = record["inputs"], record["output"]
    by_icc = record["function"] == "icc_to_RandEff"
    given = sw.NestedExchangeable(i["icc"], i["cac"], i["iac"]) if by_icc else None
    correlation = given or sw.NestedExchangeable.from_alphas(i["alpha0"], i["alpha1"], i["alpha2"])
    expected = {name: o[name] ** 2 for name in ("tau", "gamma", "psi")} | {"residual": (o.get("sigResid") or o["sigresid"]) ** 2}
    assert variances_of(correlation) == pytest.approx(expected, rel=EXACT)
    components = sw.RandomEffects(o["tau"], o["gamma"], individual=o["psi"], residual=sqrt(expected["residual"]))
    asked: dict[str, Any] = {"effect": 0.2, "size": 30, "df": "normal"}
    by_share = sw.analytic_power(sw.Design.stepped_wedge(5, 6), correlation=correlation, sd=1.0, **asked)
    by_part = sw.analytic_power(sw.Design.stepped_wedge(5, 6), correlation=components, **asked)
    assert by_share.std_error == pytest.approx(by_part.std_error, rel=EXACT)


# The vignette -----------------------------------------------------------------------------------------------------------------------------


def test_worked_examples_of_the_vignette() -> None:
    """In the order of the vignette: a line that computes a power from `tmp` means the variance before it."""
    variance, skipped, tried = None, [], 0
    for code, expected in [(e["code"], e.get("power", e.get("value"))) for e in GOLDEN["examples"] if translate.asks(e["code"])]:
        try:
            case = variance if code.startswith("tTestPwr") else translate.example_of(code)
        except NotCovered:
            skipped.append(code.split(" ")[0])
            continue
        assert case is not None
        if "VarClosed" in code:
            variance = case
            assert case.variance() == pytest.approx(expected, rel=EXACT)
        else:
            assert case.power() == pytest.approx(expected, abs=EXACT), code
        tried += 1
    assert skipped == ["Open1", "Open1$power", "Open2Indiv"]  # individual effects that decay beside an independent residual
    assert tried == 34


# Numbers printed in ../shared/oracle/README.md -------------------------------------------------------------------------------------------

COMPLETE, WITH_TRANSITION = sw.Design.stepped_wedge(5, 6), sw.Design.stepped_wedge(5, 7, transition=1)
PROMPT = [
    (sw.Exchangeable(0.013), 0.9521, 0.8274),
    (sw.NestedExchangeable(0.032, 0.174), 0.8897, 0.7171),
    (sw.ExponentialDecay(0.031, 0.249), 0.8873, 0.7053),
]


@pytest.mark.parametrize(("correlation", "complete", "transition"), PROMPT, ids=["exchangeable", "nested", "decay"])
def test_prompt(correlation: Any, complete: float, transition: float) -> None:
    for design, expected in ((COMPLETE, complete), (WITH_TRANSITION, transition)):
        found = sw.analytic_power(design, effect=4.2, size=20, sd=9, correlation=correlation, df="normal")
        assert found.power == pytest.approx(expected, abs=5e-5)


def test_the_example_of_the_help_of_swpwr() -> None:
    wedge = sw.Design.stepped_wedge(24, 5)
    asked = {"effect": -0.015, "size": 120, "family": "binomial", "baseline": 0.05, "variance": "pooled", "df": "normal"}
    constant = sw.analytic_power(wedge, correlation=sw.RandomEffects(cluster=0.01), **asked)
    assert constant.power == pytest.approx(0.78618959, abs=5e-9)
    assert constant.std_error**2 == pytest.approx(2.96823135962e-05, rel=1e-11)
    average = sw.analytic_power(wedge, correlation=sw.RandomEffects(cluster=0.01), curve=sw.ByExposure(), estimand=sw.TATE(), **asked)
    assert average.power == pytest.approx(0.55695073, abs=5e-9)


@pytest.mark.parametrize(
    ("correlation", "expected"),
    [
        (0.0, [0.5, 0.3, 0.15, 0.05, 0]),
        (0.5, [7 / 9, 0.355556, 0.066667, -0.088889, -1 / 9]),
        (0.9, [0.846154, 0.369231, 0.046154, -0.123077, -0.138462]),
    ],
)
def test_weights_by_exposure(correlation: float, expected: list[float]) -> None:
    """With one individual a cell the correlation of cell means is the ICC."""
    found = sw.analytic_power(COMPLETE, effect=1.0, size=1, sd=1.0, correlation=sw.Exchangeable(correlation), df="normal")
    by_exposure = [found.weights[found.allocation.exposure == s].sum() for s in range(1, 6)]
    assert by_exposure == pytest.approx(expected, abs=5e-7)


# Family Safeguarding ----------------------------------------------------------------------------------------------------------------------

FS: dict[str, Any] = {"family": "binomial", "baseline": 0.055, "variance": "control"}
ICC = 0.00268
# CAC: SE; points detectable with 80% power: normal, and t with 3 df as TRIAL.md has it, and as it is
POINTS = [
    (1.0, 0.005040, 1.41, 2.10, 2.14),
    (0.95, 0.005331, 1.49, 2.22, 2.27),
    (0.9, 0.005594, 1.57, 2.33, 2.38),
    (0.8, 0.006057, 1.70, 2.52, 2.58),
]


@pytest.mark.parametrize(("cac", "std_error", "normal", "central", "noncentral"), POINTS)
def test_family_safeguarding(cac: float, std_error: float, normal: float, central: float, noncentral: float) -> None:
    """TRIAL.md's t is the sum of two central quantiles; the power of a t test is noncentral, and the effect it detects is larger."""
    study = family_safeguarding()
    sizes = np.array(study.sizes)[:, None] * study.day_share
    asked = {**FS, "size": sizes, "correlation": sw.NestedExchangeable(ICC, cac), "allocation": study.allocation}
    found = sw.detectable_effect(study.design, df="normal", **asked)
    assert found.std_error == pytest.approx(std_error, abs=5e-7)
    assert 100 * found.effect == pytest.approx(normal, abs=5e-3)
    three = sw.detectable_effect(study.design, df=3, **asked)
    assert 100 * three.effect == pytest.approx(noncentral, abs=5e-3)
    assert 100 * (stats.t.ppf(0.975, 3) + stats.t.ppf(0.8, 3)) * found.std_error == pytest.approx(central, abs=5e-3)


@pytest.mark.parametrize(
    ("correlation", "std_error"),
    [
        (sw.Exchangeable(ICC), 0.004821851614),
        (sw.NestedExchangeable(ICC, 0.9), 0.005340969964),
        (sw.ExponentialDecay(ICC, 0.9), 0.005729715578),
    ],
    ids=["exchangeable", "nested", "decay"],
)
def test_family_safeguarding_with_914_a_cell(correlation: Any, std_error: float) -> None:
    """Periods of one length, as planned: with the unequal ones that came about, decay by the calendar gives .005727901432."""
    found = sw.analytic_power(COMPLETE, effect=0.01, size=914, correlation=correlation, df="normal", **FS)
    assert found.std_error == pytest.approx(std_error, rel=1e-9)


def test_decay_follows_the_calendar() -> None:
    study = family_safeguarding()
    asked = {**FS, "effect": 0.01, "size": 914, "df": "normal", "allocation": study.allocation}
    decaying = sw.analytic_power(study.design, correlation=sw.ExponentialDecay(ICC, 0.9), **asked)
    assert decaying.std_error == pytest.approx(0.005727901432, rel=1e-9)
    nested = sw.analytic_power(study.design, correlation=sw.NestedExchangeable(ICC, 0.9), **asked)
    assert nested.std_error == pytest.approx(0.005340969964, rel=1e-9)
