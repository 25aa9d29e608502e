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


def test_mypy_sees_a_wrong_argument(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    script = tmp_path / "wrong.py"
    script.write_text(WRONG, encoding="utf-8")
    report, errors, status = mypy.run(["--strict", str(script)])
    assert status == 1, errors
    assert "arg-type" in report
    assert "call-arg" in report
