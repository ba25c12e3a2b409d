"""An error shows the user's lines and the message; the frames inside passus are available on request."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import passus
import passus.functions as F
from passus import Variable, using_config
from passus.errors import PassusError, ShapeError
from passus.layers import Linear
from passus.tracebacks import _hidden_in_pytest, shortened

SCRIPT = """
import numpy as np
import passus
from passus.layers import Layer, Linear, Sequential

class Net(Layer):
    def __init__(self):
        self.body = Sequential(Linear(3, in_size=2))

    def forward(self, x):
        return self.body(x)  # the user's forward

def main():
    {setting}
    {statement}

main()
"""

PACKAGE = str(Path(passus.__file__).parent)


def output(tmp_path: Path, statement: str, setting: str = "pass", **variables: str) -> str:
    """What an interpreter writes to standard error for an uncaught error."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(statement=statement, setting=setting))
    environment = {name: value for name, value in os.environ.items() if name != "PASSUS_TRACEBACK"} | variables
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    return done.stderr


def test_plain_python_shows_the_lines_of_the_user(tmp_path: Path) -> None:
    shown = output(tmp_path, "Net()(np.ones((1, 5), np.float32))")
    assert "ShapeError: net.body.l0: " in shown
    assert "return self.body(x)  # the user's forward" in shown
    assert "Net()(np.ones" in shown
    assert PACKAGE not in shown
    assert "PASSUS_TRACEBACK=full shows them" in shown
    assert "direct cause" not in shown


@pytest.mark.parametrize(
    ("setting", "variables"), [("passus.Config.debug = True", {}), ("pass", {"PASSUS_TRACEBACK": "full"})]
)
def test_the_switches_show_everything(tmp_path: Path, setting: str, variables: dict[str, str]) -> None:
    shown = output(tmp_path, "Net()(np.ones((1, 5), np.float32))", setting, **variables)
    assert PACKAGE in shown
    assert "are hidden" not in shown


def test_other_errors_are_shown_in_full(tmp_path: Path) -> None:
    shown = output(tmp_path, "passus.layers.Layer()(1)")
    assert "NotImplementedError" in shown
    assert PACKAGE in shown


def raised(call: Any) -> PassusError:
    with pytest.raises(PassusError) as info:
        call()
    return info.value


def modules(error: BaseException) -> list[str]:
    return [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]


def test_the_error_keeps_all_frames() -> None:
    error = raised(lambda: F.matmul(np.ones((2, 3)), Variable(np.ones((2, 3)))))
    before, cause = modules(error), error.__cause__
    with shortened(error):
        assert set(modules(error)) == {__name__}
        assert error.__notes__[-1].startswith(f"({len(before) - len(modules(error))} frames")
    assert modules(error) == before
    assert error.__cause__ is cause
    assert any(name.startswith("passus.") for name in before)
    assert not getattr(error, "__notes__", [])


class Wrong(passus.Function):
    def forward(self, x: Any) -> Any:
        return x @ np.ones((7, 7))

    def backward(self, gy: Any) -> Any:
        return gy


def test_a_cause_in_code_of_the_user_is_shown() -> None:
    error = raised(lambda: Wrong()(Variable(np.ones((2, 3)))))
    with shortened(error):
        assert error.__cause__ is not None
        assert modules(error.__cause__)[-1] == __name__
    assert modules(error.__cause__)[0].startswith("passus.")


def test_an_error_without_frames_of_the_user_is_unchanged() -> None:
    error = ShapeError("x")
    with shortened(error):
        assert error.__traceback__ is None
    assert not hasattr(error, "__notes__")


def test_ipython_shows_the_lines_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSUS_TRACEBACK", raising=False)
    tracebacks = SimpleNamespace(structured_traceback=lambda kind, error, trace: modules(error))
    shell = SimpleNamespace(InteractiveTB=tracebacks)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    error: Any = raised(lambda: F.matmul(np.ones((2, 3)), Variable(np.ones((2, 3)))))
    assert set(error._render_traceback_()) == {__name__}
    with using_config("debug", True):
        assert any(name.startswith("passus.") for name in error._render_traceback_())


TEST = """
import numpy as np
import passus
from passus.layers import Linear

class Wrong(passus.Function):
    def forward(self, x):
        return x @ np.ones((7, 7))  # the user's rule

    def backward(self, gy):
        return gy

def test_dtype():
    passus.Variable("text")  # the user's first line

def test_shape():
    Linear(3, in_size=2)(np.ones((1, 5), np.float32))  # the user's second line

def test_rule():
    Wrong()(passus.Variable(np.ones((2, 3))))  # the user's third line
"""


@pytest.mark.parametrize("full", [False, True])
def test_pytest_shows_the_lines_of_the_user(tmp_path: Path, full: bool) -> None:
    (tmp_path / "test_user.py").write_text(TEST)
    environment = {name: value for name, value in os.environ.items() if name != "PASSUS_TRACEBACK"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    shown = subprocess.run(
        [*command, *(["--full-trace"] if full else []), "test_user.py"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(PACKAGE).parent)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in ("first line", "second line", "third line", "rule"):
        assert f"# the user's {line}" in shown
    assert "DTypeError" in shown
    for file in ("variable.py", "function.py"):
        assert (str(Path("passus", "core", file)) in shown) is full
    assert shown.count("direct cause") == 2


def test_the_switches_show_everything_in_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    error = raised(lambda: Linear(3, in_size=2)(np.ones((1, 5), np.float32)))
    monkeypatch.setenv("PASSUS_TRACEBACK", "full")
    assert not _hidden_in_pytest(SimpleNamespace(value=error))
    assert not _hidden_in_pytest(SimpleNamespace(value=error.__cause__))
    monkeypatch.delenv("PASSUS_TRACEBACK")
    assert _hidden_in_pytest(SimpleNamespace(value=error))
    assert _hidden_in_pytest(SimpleNamespace(value=error.__cause__))
    assert not _hidden_in_pytest(SimpleNamespace(value=ValueError()))


def check_short(shown: str) -> None:
    assert "ShapeError: " in shown
    assert "Net()(np.ones" in shown
    assert PACKAGE not in shown
    assert "frames inside passus are hidden" in shown
    assert "direct cause" not in shown


def test_an_error_in_a_thread_is_short(tmp_path: Path) -> None:
    thread = "import threading; threading.Thread(target=lambda: Net()(np.ones((1, 5), np.float32))).start(); raise SystemExit(1)"
    shown = output(tmp_path, thread)
    check_short(shown)
    assert "Exception in thread" in shown
    assert PACKAGE in output(tmp_path, thread, PASSUS_TRACEBACK="full")


def test_an_error_in_a_worker_of_a_loader_is_short(tmp_path: Path) -> None:
    loader = (
        "data = type('Data', (), {'__len__': lambda self: 4, '__getitem__': lambda self, i: Net()(np.ones((1, 5), np.float32))})(); "
        "list(passus.DataLoader(data, 2, workers=2))"
    )
    shown = output(tmp_path, loader)
    check_short(shown)
    assert "concurrent" not in shown
    assert "Raised by example" in shown


def test_a_debugger_reaches_the_internals(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(statement="Net()(np.ones((1, 5), np.float32))", setting="pass"))
    command = [sys.executable, "-m", "pdb", "-c", "continue", "-c", "where", "-c", "quit", script]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, input="quit\n").stdout
    assert "Post mortem debugger" in shown or "post mortem" in shown
    assert str(Path("core", "function.py")) in shown
