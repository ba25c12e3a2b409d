"""The commands and their options."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from passus.cli.bench import bench
from passus.cli.doctor import doctor
from passus.cli.files import inspected, summarized
from passus.cli.tables import jsonable
from passus.errors import PassusError

__all__ = ["main"]


class Command(NamedTuple):
    """A command; ``run``: a function of the options that returns a report."""

    run: Callable[[argparse.Namespace], Any]
    help: str
    description: str
    example: str


COMMANDS = {
    "summary": Command(
        lambda options: summarized(options.file),
        "list the layers in a file of weights",
        "List the layers in a file of weights or a checkpoint, with their shapes and sizes. Formats: .npz, .safetensors, "
        ".safetensors.index.json, checkpoints of passus, .onnx, and files of torch.save. Nothing is unpickled.",
        "python -m passus summary model.safetensors",
    ),
    "inspect": Command(
        lambda options: inspected(options.file),
        "list every array in a file of weights, with checksums",
        "List the name, shape, dtype, size and CRC-32 of every array in a file, its metadata, and the SHA-256 of the file. "
        "The formats are those of summary; bfloat16 in files of PyTorch is read as float32. Nothing is unpickled.",
        "python -m passus inspect checkpoint.safetensors --json",
    ),
    "bench": Command(
        lambda options: bench(options.rounds),
        "time training steps on this machine, beside PyTorch if it is installed",
        "Time small training steps for a few seconds, in alternation with PyTorch if it is installed, and compare them "
        "with the speed of a large matrix product. The first run also compiles kernels, for up to a minute.",
        "python -m passus bench",
    ),
    "doctor": Command(
        lambda options: doctor(),
        "check this installation",
        "Check versions, optional packages, folders and threads, and compare compiled kernels with NumPy. The exit status "
        "is 1 if something is broken. The first run also compiles kernels, for up to a minute.",
        "python -m passus doctor",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; ``arguments``: those of the process by default.

    >>> main(["inspect", "never-saved.npz"])
    2
    """
    try:
        return _run(_parser().parse_args(arguments))
    except PassusError as error:
        return _failed(error)
    except BrokenPipeError:  # A reader such as head has closed the pipe; Python would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    report = COMMANDS[options.command].run(options)
    text = json.dumps(jsonable(report.values()), indent=2, allow_nan=False) if options.json else report.text()
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    return int(report.status)


def _failed(error: Exception) -> int:
    line = " ".join(str(error).split())
    print(f"passus: {line.encode('ascii', 'backslashreplace').decode()}", file=sys.stderr)
    return 2


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"passus: {message}; see {self.prog} --help\n")


def _parser() -> Parser:
    parser = Parser(
        "python -m passus",
        description="Look into files of weights, measure this machine, and check this installation.",
        epilog="The exit status is 0, 1 if doctor finds a fault, 2 after an error, or 130 after Ctrl-C.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.help,
            description=command.description,
            epilog=f"example: {command.example}",
        )
        if name in ("summary", "inspect"):
            one.add_argument("file", metavar="FILE", help="a file of weights, or a folder that holds one")
        if name == "bench":
            one.add_argument("--rounds", type=_count, default=5, metavar="N", help="turns of each library (default: 5)")
        one.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of 1 or more")
    return int(text)
