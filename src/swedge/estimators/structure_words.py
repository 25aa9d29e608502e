"""Random effects of a structure, put into words."""

from __future__ import annotations

from swedge.assumptions import Structure

WORDS = {
    "cluster": "cluster",
    "treatment": "cluster-by-treatment",
    "exposure": "exposure-time (shared by clusters)",
    "cluster_period": "cluster-by-period",
    "individual": "individual",
}


def random_terms(structure: Structure) -> str:
    """The random effects, as a sentence goes on from "random".

    >>> random_terms(Structure(("cluster", "treatment", "cluster_period"), correlated=True))
    'cluster, cluster-by-treatment (correlated with the cluster) and cluster-by-period effects'
    """
    notes = {"treatment": " (correlated with the cluster)"} if structure.correlated else {}
    if structure.decay != "none":
        notes["cluster_period"] = " (autocorrelated)"
    words = [WORDS[name] + notes.get(name, "") for name in structure.effects]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{listed} effects" + (", individuals autocorrelated alike" if structure.decay == "all" else "")
