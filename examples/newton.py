"""Find a minimum of y = x**4 - 2 x**2 by Newton's method, with both derivatives from backpropagation.

    python examples/newton.py --start 2.0

Each step replaces x by x - f'(x) / f''(x). ``create_graph=True`` records the computation of the first derivative, so
that it can be differentiated again.
"""

import argparse

import numpy as np

from passus import Variable


def f(x):
    return x**4 - 2 * x**2


def derivatives(at):
    """Return f'(x) and f''(x) at a point."""
    x = Variable(np.array(at))
    f(x).backward(create_graph=True)
    first = x.grad
    x.cleargrad()
    first.backward()
    return first.item(), x.grad.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=float, default=2.0, help="initial value")
    parser.add_argument("--steps", type=int, default=10, help="number of steps")
    arguments = parser.parse_args()

    x = arguments.start
    print(f"{'step':>4} {'x':>20} {'y':>20}")
    for step in range(arguments.steps + 1):
        print(f"{step:4d} {x:20.15f} {f(x):20.15f}")
        first, second = derivatives(x)
        if second == 0:
            raise SystemExit(f"The second derivative at {x} is 0; choose another --start")
        x -= first / second


if __name__ == "__main__":
    main()
