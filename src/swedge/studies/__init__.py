"""Three published trials as objects, children to practise on, the real panel of authorities, and what few clusters do to a test."""

from swedge.studies.calibration import calibration_table
from swedge.studies.children import read_children, simulate_children, write_children
from swedge.studies.did_calibration import did_calibration_table
from swedge.studies.facts import family_safeguarding, family_valued, no_wrong_door
from swedge.studies.neighbours import comparison_authorities
from swedge.studies.panel import authority_panel
from swedge.studies.simulated_panel import simulate_panel
from swedge.studies.sizes import size_table
from swedge.studies.study import Outcome, PowerCall, Study

__all__ = [
    "Outcome",
    "PowerCall",
    "Study",
    "authority_panel",
    "calibration_table",
    "comparison_authorities",
    "did_calibration_table",
    "family_safeguarding",
    "family_valued",
    "no_wrong_door",
    "read_children",
    "simulate_children",
    "simulate_panel",
    "size_table",
    "write_children",
]
