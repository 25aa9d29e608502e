"""The Family Safeguarding trial from schedule to report, on simulated children and, if given, on the real panel of authorities."""

from swedge.studies.demo.run import Demo, run_demo

__all__ = ["Demo", "run_demo"]
