"""Search the docstrings of Python's standard library by meaning, with all-MiniLM-L6-v2 (Wang et al., 2020).

    python examples/semantic_search.py copy a folder with everything in it

prints, with Python 3.11.7:

    0.585  shutil.copytree: Recursively copy a directory tree and return the destination directory.
    0.482  shutil.copy: Copy data and mode bits ("cp src dst"). Return the file's destination.
    0.473  copy.deepcopy: Deep copy operation on arbitrary Python objects.
    0.458  shutil: Utility functions for copying and archiving files and directory trees.
    0.454  copy.copy: Shallow copy operation on arbitrary Python objects.

`scripts/fetch-data large` downloads the weights and the vocabulary into the cache folder; the tokenizer needs the extra
`text` (`pip install passus[text]`). The first search embeds the first paragraphs of 5,168 docstrings, which took 50
seconds on two cores, and caches the vectors; later searches take two seconds. Functions written in C are not found,
because their docstrings are in no source file.
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
"""Folders of tests, of applications, and of packages removed from newer releases of Python."""
MAX_TOKENS = 128
"""Length of the texts that the network was trained on."""
CHUNK = 512
"""Number of docstrings per step of the progress bar."""
WIDTH = 110
"""Maximum length of a printed line."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("query", nargs="+", help="search query")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="number of docstrings to print")
    parser.add_argument(
        "--modules", nargs="+", default=[], metavar="NAME", help="search only these modules, such as json shutil"
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
        print(f"{error}\nRun `scripts/fetch-data large` to download the weights and the vocabulary", file=sys.stderr)
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
    """Return the vectors (N, D) of names and docstrings and a line to print for each, cached on disk."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(f"{modules} {MAX_TOKENS}".encode())
    name = f"docstrings-{platform.python_version()}-{digest.hexdigest()[:12]}.npz"
    vectors, lines = load_cache_npz(name)
    if vectors is None:
        texts = [f"{name}: {summary}" for name, summary in docstrings(modules).items()]
        chunks = [texts[i : i + CHUNK] for i in range(0, len(texts), CHUNK)]
        vectors = np.concatenate([model.encode(chunk) for chunk in tqdm(chunks or [[]], "Indexing")])
        lines = np.array([text[:WIDTH] for text in texts], str)
        save_cache_npz(vectors, lines, name)
    return vectors, lines


def docstrings(modules=()):
    """Return the first paragraphs of public docstrings by name, such as ``json.decoder.JSONDecoder``.

    The sources are parsed, not imported. ``modules``: names of top-level modules (default: all).
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = [part for part in path.relative_to(library).with_suffix("").parts if part != "__init__"]
        if SKIPPED.intersection(parts):
            continue
        if parts and parts[0].startswith("_py") and parts[0][3:] in sys.stdlib_module_names:
            parts[0] = parts[0][3:]  # The Python version of a C module: _pydecimal is decimal.
        private = any(part.startswith("_") for part in parts)
        if parts and not private and parts[0] in (modules or sys.stdlib_module_names):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(path.read_bytes())
            for name, summary in documented(tree, ".".join(parts)):
                found.setdefault(name, summary)
    return found


def documented(node, name):
    """Yield the name and the first paragraph of the docstring of a node, then those of its public members."""
    summary = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    if summary:
        yield name, summary
    for child in [] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
            yield from documented(child, f"{name}.{child.name}")


if __name__ == "__main__":
    sys.exit(main())
