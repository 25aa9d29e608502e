"""The public interface as a type checker sees it from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")

USER = Path(__file__).parent / "typed" / "user.py"
WRONG = """
import swedge as sw

sw.Design.stepped_wedge(clusters=2.5)
sw.FixedEffects(variance="CR2")
"""


def test_a_user_script_passes_strict_mypy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    report, errors, status = mypy.run(["--strict", str(USER)])
    assert status == 0, report + errors


def test_mypy_sees_a_wrong_argument(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    report, _, status = mypy.run(["--strict", "-c", WRONG])
    assert status == 1
    assert "arg-type" in report
    assert "call-arg" in report
