"""Plans to begin from, as commented TOML."""

from __future__ import annotations

from importlib.resources import files

from swedge.errors import PlanError, nearest

TEMPLATES = ("blank", "family_safeguarding")


def template(name: str) -> str:
    """The text of a template, which is a whole plan.

    Parameters
    ----------
    name : {"blank", "family_safeguarding"}
        A trial of five clusters with every key explained, or the Family Safeguarding trial.

    Raises
    ------
    PlanError
        If there is no template of that name.

    Examples
    --------
    >>> template("blank").splitlines()[0]
    'format = "swedge plan 1"'
    """
    if name not in TEMPLATES:
        raise PlanError(f"{name!r:.60} is no template.{nearest(name, TEMPLATES)} Templates are {', '.join(TEMPLATES)}.")
    return files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
