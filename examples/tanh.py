"""Compute the derivatives of tanh up to order 6, each as the gradient of the previous one; draw them, and a graph.

    python examples/tanh.py --out runs/tanh

Every backward pass is recorded (``create_graph=True``), so it can be differentiated again. With Graphviz installed,
``graph.svg`` shows the graph of a derivative.
"""

import argparse
from pathlib import Path

import numpy as np

import passus.functions as F
from passus import Variable
from passus.errors import DependencyError
from passus.utils import plot_dot_graph


def derivatives(x, order):
    """Return tanh(x) and its derivatives as Variables with their graphs."""
    found = [F.tanh(x)]
    found[0].name = "tanh(x)"
    for _ in range(order):
        x.cleargrad()
        found[-1].backward(create_graph=True)
        found.append(x.grad)
    return found


def draw(x, curves, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for n, y in enumerate(curves):
        # Higher derivatives are much larger, so each curve is scaled to 1.
        size = np.abs(y.data).max()
        axes.plot(x.data, y.data / size, label=f"order {n}, divided by {size:.3g}")
    axes.set_title("tanh and its derivatives, scaled to the same height")
    axes.set_xlabel("x")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", type=int, default=6, help="order of the highest derivative")
    parser.add_argument("--graph-order", type=int, default=2, help="order of the derivative whose graph is drawn")
    parser.add_argument("--out", type=Path, default=Path("runs/tanh"), help="folder for the pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    at_one = derivatives(Variable(np.array(1.0)), arguments.order)
    for n, y in enumerate(at_one):
        print(f"derivative of order {n} at x = 1: {y.item():.12f}")

    x = Variable(np.linspace(-4, 4, 401))
    draw(x, derivatives(x, arguments.order), arguments.out / "derivatives.png")
    point = Variable(np.array(1.0), name="x")
    try:
        plot_dot_graph(
            derivatives(point, arguments.graph_order)[-1], verbose=False, to_file=arguments.out / "graph.svg"
        )
    except DependencyError as error:
        print(f"No graph: {error}")
    print(f"Pictures saved in {arguments.out}")


if __name__ == "__main__":
    main()
