"""Draw the picture of the README: a graph, a trained classifier, and training times.

    python docs/front_page.py --out docs/images/front_page.png

The ratios are read from the table in benchmarks/README.md. Needs the extra `plot` and the program `dot` of Graphviz.
"""

import argparse
import re
import tempfile
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import passus
import passus.functions as F
from passus.utils import plot_dot_graph

BENCHMARKS = Path(__file__).parent.parent / "benchmarks" / "README.md"
COLOURS = ["#4477aa", "#ee6677", "#228833"]


def draw_graph(axes, folder):
    x = passus.Variable(np.array(0.5), name="x")
    y = F.exp(x**2) * x
    y.name = "y"
    plot_dot_graph(y, verbose=False, to_file=str(folder / "graph.png"))
    axes.imshow(matplotlib.image.imread(folder / "graph.png"))
    axes.set_axis_off()
    axes.set_title("A graph remembers:\ny = exp(x²) · x")


def learn_spiral(epochs):
    passus.random.seed(0)
    model = passus.models.MLP((32, 32, 3), activation=F.relu)
    optimizer = passus.optimizers.Adam(lr=0.01).setup(model)
    for _ in range(epochs):
        for x, t in passus.DataLoader(passus.datasets.Spiral(), batch_size=30):
            loss = F.softmax_cross_entropy(model(x), t)
            model.cleargrads()
            loss.backward()
            optimizer.update()
    return model


def draw_spiral(axes, model):
    side = np.linspace(-1.15, 1.15, 300, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    with passus.no_grad():
        predicted = model(grid).data.argmax(axis=1).reshape(300, 300)
    axes.pcolormesh(side, side, predicted, cmap=ListedColormap(COLOURS), alpha=0.3, rasterized=True)
    data = passus.datasets.Spiral()
    for arm, marker in enumerate("ox^"):
        axes.scatter(*data.data[data.label == arm].T, color=COLOURS[arm], marker=marker, s=14)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("Ten lines of training separate\nthree arms of a spiral")


def convolutional_networks():
    """Return the time of PyTorch, at its fastest, as a multiple of that of passus, for each convolutional network."""
    table = BENCHMARKS.read_text().partition("| training step |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split("|") for line in table.splitlines() if ", batch " in line]
    return {
        name.split(",")[0]: min(float(number) for number in re.findall(r"[\d.]+", f"{eager}{channels_last}{compiled}"))
        for name, _, eager, channels_last, compiled, *_ in rows
        if channels_last.strip()
    }


def draw_ratios(axes, ratios):
    rows = np.arange(len(ratios))[::-1]
    axes.barh(rows, ratios.values(), color="#ee7733", height=0.6)
    axes.axvline(1.0, color="black", linewidth=1)
    for row, ratio in zip(rows, ratios.values()):
        axes.text(ratio + 0.03, row, f"{ratio:.2f}", va="center")
    axes.set_yticks(rows, ratios)
    axes.set_xlim(0, max(ratios.values()) + 0.4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("Training steps on two CPU cores: time of PyTorch,\nat its fastest, as a multiple of that of passus")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100, help="number of passes over the data")
    parser.add_argument("--out", type=Path, default=Path("docs/images/front_page.png"), help="path of the picture")
    arguments = parser.parse_args()
    figure = Figure(figsize=(13, 4.2), dpi=110, layout="constrained")
    graph, spiral, ratios = figure.subplots(1, 3, width_ratios=[0.7, 1, 1.25])
    with tempfile.TemporaryDirectory() as folder:
        draw_graph(graph, Path(folder))
    draw_spiral(spiral, learn_spiral(arguments.epochs))
    draw_ratios(ratios, convolutional_networks())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out)


if __name__ == "__main__":
    main()
