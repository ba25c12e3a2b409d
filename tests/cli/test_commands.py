"""The commands themselves: help, wrong arguments, ``doctor`` and ``bench``."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import passus.functions as F
from passus.cli import bench, doctor, main, worker
from passus.cli.bench import Bench
from passus.cli.commands import COMMANDS
from passus.cli.doctor import Check, Report
from passus.cli.machine import processor
from passus.errors import PassusError
from passus.kernels.dispatch import Kernel


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"example: python -m passus {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["inspect"], "the following arguments are required: FILE"),
        (["unknown"], "invalid choice: 'unknown'"),
        (["bench", "--rounds", "0"], "'0' is not an integer of 1 or more"),
        (["bench", "--rounds", "x"], "'x' is not an integer of 1 or more"),
    ],
)
def test_wrong_arguments_have_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert re.fullmatch(r"passus: .*; see python -m passus( \w+)? --help\n", err)


def test_ctrl_c_has_status_130(monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "doctor", COMMANDS["doctor"]._replace(run=interrupted))
    assert main(["doctor"]) == 130


def test_errors_of_the_system_are_one_line(monkeypatch, capsys):
    def failing(options):
        raise PermissionError(13, "Permission denied", "model.npz")

    monkeypatch.setitem(COMMANDS, "doctor", COMMANDS["doctor"]._replace(run=failing))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "passus: [Errno 13] Permission denied: 'model.npz'\n"


def test_python_runs_the_package_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "passus", "inspect", "missing.npz"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "passus: missing.npz: no such file; check the path\n"


# doctor


@pytest.mark.compiles
def test_doctor_finds_that_this_installation_works(capsys):
    assert main(["doctor", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["works"]
    checks = {check["name"]: check for check in result["checks"]}
    assert {check["state"] for check in checks.values()} <= {"ok", "missing"}
    assert checks["numpy"]["detail"] == np.__version__
    assert "agrees with NumPy" in checks["kernel of conv2d"]["detail"]


@pytest.mark.compiles
@pytest.mark.parametrize("name", doctor.COMPUTATIONS)
def test_doctor_compares_kernels_with_their_references(name, monkeypatch):
    used = []

    def compiled(kernel):
        used.append(kernel.reference.__name__)
        return lambda *args, **kwargs: kernel.reference(*args, **kwargs)

    monkeypatch.setattr(Kernel, "compiled", compiled)
    doctor._agreement(doctor.COMPUTATIONS[name])
    assert used


def test_doctor_reports_a_wrong_kernel(monkeypatch):
    results = iter([1.0, 1.1])
    check = doctor._guarded("kernel", lambda: doctor._agreement(lambda: np.full(3, next(results))))
    assert (check.state, check.detail) == ("broken", "ValueError: differs from NumPy by 1.0e-01")
    nan = iter([1.0, np.nan])
    assert doctor._guarded("kernel", lambda: doctor._agreement(lambda: np.full(3, next(nan)))).state == "broken"


def test_doctor_reports_a_folder_that_is_not_writable(tmp_path, monkeypatch):
    assert doctor._writable(lambda: tmp_path / "new" / "folder") == str(tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    monkeypatch.setenv("PASSUS_CACHE", str(tmp_path / "file"))
    check = doctor._guarded("folder", lambda: doctor._writable(doctor.cache_folder), "set PASSUS_CACHE")
    assert check.state == "broken"
    assert check.detail.startswith("NotADirectoryError")
    assert check.detail.endswith("; set PASSUS_CACHE")


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "version_of", lambda name: None)
    report = doctor.doctor()
    checks = {check.name: check for check in report.checks}
    assert checks["pillow"] == Check("pillow", "missing", "for files of images: pip install pillow")
    assert "apt-get install graphviz" in checks["graphviz"].detail
    assert checks["numba"].state == "missing"
    assert checks["safetensors"].state == "broken"
    assert report.status == 1
    assert report.text().endswith("3 broken, 8 optional missing")


def test_missing_optional_packages_are_no_fault():
    report = Report([Check("numpy", "ok", "2"), Check("torch", "missing", "pip install torch")])
    assert report.status == 0
    assert report.text().splitlines()[-1] == "passus works, 1 optional missing"


# bench


def test_bench_reports_ratios_and_the_ceiling():
    times = {"passus": {"perceptron": 1e-3, "convolutions": 4e-3}, "torch": {"perceptron": 2e-3, "convolutions": 6e-3}}
    result = Bench(times, ceiling=1e12).values()
    assert result["gflops"] == 1000
    assert [step["times passus"] for step in result["steps"].values()] == [2.0, pytest.approx(1.5)]
    flops = 2 * 3 * 100 * (784 * 256 + 256 * 10)
    assert result["steps"]["perceptron"]["ceiling"] == pytest.approx(flops / 1e-3 / 1e12)
    assert "not installed" in Bench({"passus": times["passus"]}, 1e12).text()
    assert processor() in Bench(times, 1e12).text()


@pytest.mark.compiles
def test_bench_times_this_machine(capsys):
    assert main(["bench", "--rounds", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"].keys() == worker.PROBLEMS.keys()
    assert all(step["times passus"] > 0 and step["ceiling"] > 0 for step in result["steps"].values())


def test_a_process_that_ends_is_an_error():
    with bench._worker("unknown library") as process, pytest.raises(PassusError, match="has ended"):
        bench._asked("unknown library", process, "perceptron")


@pytest.mark.parametrize("problem", worker.PROBLEMS)
def test_both_libraries_train_the_same_network(problem, monkeypatch):
    x, t = worker._batch(problem)
    model = worker.network(problem)
    loss = F.softmax_cross_entropy(model(x), t)
    torch = pytest.importorskip("torch")
    made = []
    monkeypatch.setattr(torch.optim, "SGD", lambda parameters, lr: made.append(list(parameters)))
    worker._step_of_torch(problem)
    assert sum(p.size for p in model.params()) == sum(p.numel() for p in made[0])
    assert loss.shape == ()


def test_a_turn_reports_the_shortest_step(monkeypatch):
    monkeypatch.setattr(worker, "SECONDS", 0.0)
    assert 0 < worker._seconds(lambda: None) < 1
