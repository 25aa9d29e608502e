"""What is wrong with a plan, and where: a dotted path that its reader turns into a line."""

from __future__ import annotations

from swedge.errors import PlanError


class Fault(PlanError):
    """A defect at a place of a plan.

    Parameters
    ----------
    path : tuple of str
        Keys from the top, such as ``("outcomes", "looked_after", "family")``.
    text : str
        What is wrong, what was expected and what to do.

    Examples
    --------
    >>> str(Fault(("outcomes", "days", "family"), "'gauss' is no family."))
    "outcomes.days.family: 'gauss' is no family."
    """

    def __init__(self, path: tuple[str, ...], text: str) -> None:
        where = ".".join(path)
        super().__init__(f"{where}: {text}" if where else text)
        self.path, self.text = path, text
