"""``python -m passus.kernels``: compile all kernels ahead, in images of containers and in CI.

A line on stderr names the kernel that is being compiled, unless ``PASSUS_QUIET`` is set. A line on stdout says how long it took,
and where the kernels are. The exit status is 0; 1 where Numba does not work or kernels cannot be kept on the disk, with the
reason in one line on stderr; and 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
import time
import warnings

from passus.kernels.warming import all_kernels, build_all

__all__ = ["main"]


def main() -> int:
    """Compile all kernels, or find them on the disk; return the exit status."""
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True, action="always") as caught:
            kernels = all_kernels()
        if not kernels:
            return _failed(str(caught[-1].message) if caught else "kernels are turned off")
        folders = {kernel.folder for kernel in kernels}
        if None in folders:
            return _failed("there is no folder that compiled kernels can be written to; set NUMBA_CACHE_DIR to one")
        build_all(kernels)
    except KeyboardInterrupt:
        return 130
    reasons = [kernel.unsaved for kernel in kernels if kernel.unsaved]
    if reasons:
        return _failed(f"{len(reasons)} of {len(kernels)} kernels cannot be written: {reasons[0]}")
    compiled, seconds = sum(kernel.was_compiled for kernel in kernels), time.perf_counter() - start
    places = ", ".join(sorted(map(str, folders)))
    print(f"{len(kernels)} kernels, of which {compiled} were compiled now, in {seconds:.0f} s; they are in {places}")
    return 0


def _failed(reason: str) -> int:
    print(f"passus.kernels: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
