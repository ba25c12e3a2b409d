"""Search the docstrings of Python's standard library by their meaning, with all-MiniLM-L6-v2 (Wang et al., 2020).

    python examples/semantic_search.py copy a folder with everything in it

prints, with Python 3.11.7:

    0.585  shutil.copytree: Recursively copy a directory tree and return the destination directory.
    0.482  shutil.copy: Copy data and mode bits ("cp src dst"). Return the file's destination.
    0.473  copy.deepcopy: Deep copy operation on arbitrary Python objects.
    0.458  shutil: Utility functions for copying and archiving files and directory trees.
    0.454  copy.copy: Shallow copy operation on arbitrary Python objects.

`scripts/fetch-data large` puts the weights and the vocabulary into the cache folder; the vocabulary is read with
`pip install passus[text]`. The first search embeds the first paragraphs of 5,168 docstrings, which took 50 seconds on two
cores, and keeps the vectors in the cache folder; one after that takes two seconds. Functions written in C have no docstring
in a file, and are not found.
"""

import argparse
import ast
import hashlib
import platform
import sys
import sysconfig
import warnings
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from passus.datasets import cache_folder, load_cache_npz, save_cache_npz
from passus.errors import DataError, DependencyError, MissingWeightsError
from passus.models import SentenceEncoder

SKIPPED = {
    "__pycache__",
    "distutils",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "turtledemo",
}
"""Folders of tests and applications, and of packages that newer releases of Python do not have."""
MAX_TOKENS = 128
"""The length of texts that the network was trained on."""
CHUNK = 512
"""Docstrings from one step of the progress bar to the next."""
WIDTH = 110
"""How much of a name and its docstring is printed."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("query", nargs="+", help="what to search for, in words")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many docstrings to print")
    parser.add_argument(
        "--modules", nargs="+", default=[], metavar="NAME", help="search these alone, such as json shutil"
    )
    parser.add_argument("--weights", type=Path, default=cache_folder() / "all-minilm-l6-v2.safetensors")
    parser.add_argument("--vocabulary", type=Path, default=cache_folder() / "all-minilm-l6-v2-vocab.txt")
    arguments = parser.parse_args()
    try:
        model = SentenceEncoder(weights=arguments.weights, vocabulary=arguments.vocabulary, max_tokens=MAX_TOKENS)
    except DependencyError as error:
        print(error, file=sys.stderr)
        return 2
    except (MissingWeightsError, DataError) as error:
        print(f"{error}\n`scripts/fetch-data large` fetches the weights and the vocabulary", file=sys.stderr)
        return 2
    vectors, lines = index(model, arguments.weights, sorted(arguments.modules))
    if not len(lines):
        print(
            f"no docstrings in {', '.join(arguments.modules)}; name modules that are written in Python", file=sys.stderr
        )
        return 2
    scores = vectors @ model.encode(" ".join(arguments.query))
    for i in np.argsort(-scores)[: arguments.top]:
        print(f"{scores[i]:.3f}  {lines[i]}")
    return 0


def index(model, weights, modules):
    """The vectors (N, D) of names and docstrings, and a line to print for each; kept in the cache folder."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{modules} {MAX_TOKENS}".encode())
    name = f"docstrings-{platform.python_version()}-{digest.hexdigest()[:12]}.npz"
    vectors, lines = load_cache_npz(name)
    if vectors is None:
        texts = [f"{name}: {summary}" for name, summary in docstrings(modules).items()]
        parts = [texts[i : i + CHUNK] for i in range(0, len(texts), CHUNK)]
        vectors = np.concatenate([model.encode(part) for part in tqdm(parts or [[]], "Indexing")])
        lines = np.array([text[:WIDTH] for text in texts], str)
        save_cache_npz(vectors, lines, name)
    return vectors, lines


def docstrings(modules=()):
    """Public names of the standard library, such as ``json.decoder.JSONDecoder``, and the first paragraphs of their docstrings.

    The sources are parsed, not imported. ``modules``: those at the top that are wanted, all if there are none.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = [part for part in path.relative_to(library).with_suffix("").parts if part != "__init__"]
        if SKIPPED.intersection(parts):
            continue
        if parts and parts[0].startswith("_py") and parts[0][3:] in sys.stdlib_module_names:
            parts[0] = parts[0][3:]  # The Python source of what is also written in C, as _pydecimal is of decimal.
        private = any(part.startswith("_") for part in parts)
        if parts and not private and parts[0] in (modules or sys.stdlib_module_names):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(path.read_bytes())
            for name, summary in documented(tree, ".".join(parts)):
                found.setdefault(name, summary)
    return found


def documented(node, name):
    """The name of a module, class or function with the first paragraph of its docstring, and those of what is public in it."""
    summary = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    if summary:
        yield name, summary
    for child in [] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield from documented(child, f"{name}.{child.name}")


if __name__ == "__main__":
    sys.exit(main())
