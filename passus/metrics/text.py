"""Metrics of text: perplexity, bits per character, error rates, and edit distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_integer, checked_number
from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, check_label_shape, check_labels
from passus.functions.nn.class_axis import classes_second
from passus.functions.nn.classification import softmax_cross_entropy
from passus.metrics.base import Averaged, measured, on_host
from passus.metrics.classification import checked_ignore_index

__all__ = [
    "BitsPerCharacter",
    "CharacterErrorRate",
    "Perplexity",
    "WordErrorRate",
    "bits_per_character",
    "character_error_rate",
    "edit_distance",
    "perplexity",
    "word_error_rate",
]


class Perplexity(Averaged):
    """``exp`` of the mean cross entropy of all tokens: the effective number of equally likely choices per token.

    ``y``: logits (N, ..., V), with the vocabulary on ``axis``; ``t``: integers (N, ...). Labels equal to ``ignore_index`` are
    skipped. Losses are averaged over all batches before ``exp`` is applied.

    Raises `ShapeError` and `LabelError` for invalid labels.

    >>> metric = Perplexity()
    >>> metric.update(np.zeros((2, 3, 4)), np.array([[0, 1, 2], [3, 0, 1]]))
    >>> round(metric.compute(), 6)
    4.0
    """

    needs: ClassVar[str] = ", with labels other than ignore_index"

    def __init__(self, ignore_index: int | None = None, axis: int = -1) -> None:
        self.ignore_index = checked_ignore_index(type(self).__name__, ignore_index)
        self.axis = checked_integer(type(self).__name__, "axis", axis)
        super().__init__()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of logits and tokens."""
        name = type(self).__name__
        scores, labels = array_of(name, y), array_of(name, t)
        classes = check_label_shape(name, classes_second(name, scores, self.axis), labels, self.axis)
        counted = (
            on_host(labels) if self.ignore_index is None else on_host(labels)[on_host(labels) != self.ignore_index]
        )
        count = check_labels(name, counted, classes).size
        if count:
            losses: Any = softmax_cross_entropy(
                scores, labels, ignore_index=self.ignore_index, reduction="none", axis=self.axis
            )
            self._mean.total += float(on_host(losses).sum(dtype=np.float64))
            self._mean.weight += count

    def compute(self) -> float:
        """The perplexity; infinite on overflow. Raises `ArgumentError` if there were no tokens."""
        try:
            return math.exp(super().compute())
        except OverflowError:
            return math.inf


class BitsPerCharacter(Perplexity):
    """The mean cross entropy in bits per character: the length of the text as compressed by an arithmetic coder.

    ``characters_per_token``: the average number of characters, or bytes, per token; 1 for a character tokenizer. The other
    arguments are those of `Perplexity`.

    >>> metric = BitsPerCharacter()
    >>> metric.update(np.zeros((2, 3, 4)), np.array([[0, 1, 2], [3, 0, 1]]))
    >>> round(metric.compute(), 6)
    2.0
    """

    def __init__(self, ignore_index: int | None = None, axis: int = -1, characters_per_token: float = 1.0) -> None:
        super().__init__(ignore_index, axis)
        self.characters_per_token = checked_number(
            "BitsPerCharacter", "characters_per_token", characters_per_token, open_low=True
        )

    def compute(self) -> float:
        """Bits per character. Raises `ArgumentError` if there were no tokens."""
        return Averaged.compute(self) / math.log(2) / self.characters_per_token


class _ErrorRate(Averaged):
    """The edit distance between predictions and references, divided by the length of the references."""

    needs: ClassVar[str] = ", with a reference that is not empty"
    units: ClassVar[Callable[[str], Sequence[str]]]
    """Splits a text into the units that edits insert, delete and substitute."""

    def update(self, y: str | Sequence[str], t: str | Sequence[str]) -> None:
        """Add a prediction and its reference, or equally many of both."""
        predictions, references = _texts(type(self).__name__, y), _texts(type(self).__name__, t)
        if len(predictions) != len(references):
            raise ShapeError(f"{type(self).__name__}: {len(predictions)} predictions for {len(references)} references")
        for prediction, reference in zip(predictions, references):
            a, b = type(self).units(prediction), type(self).units(reference)
            self._mean.total += edit_distance(a, b)
            self._mean.weight += len(b)

    def compute(self) -> float:
        """The rate; it can exceed 1. Raises `ArgumentError` if all references were empty."""
        return super().compute()


class CharacterErrorRate(_ErrorRate):
    """The number of inserted, deleted and substituted characters, divided by the number of characters of the references.

    ``y``, ``t``: one str each, or lists of equal length. Raises `ShapeError` for different lengths.

    >>> metric = CharacterErrorRate()
    >>> metric.update(["helo", "world"], ["hello", "word"])
    >>> round(metric.compute(), 4)
    0.2222
    """

    units: ClassVar[Callable[[str], Sequence[str]]] = staticmethod(str)


class WordErrorRate(_ErrorRate):
    """The number of inserted, deleted and substituted words, divided by the number of words of the references.

    Words are separated by white space. The arguments are those of `CharacterErrorRate`.

    >>> metric = WordErrorRate()
    >>> metric.update("the cat sat", "the cat sat down")
    >>> metric.compute()
    0.25
    """

    units: ClassVar[Callable[[str], Sequence[str]]] = staticmethod(str.split)


def perplexity(y: Any, t: Any, ignore_index: int | None = None, axis: int = -1) -> float:
    """The perplexity of one batch; see `Perplexity`.

    >>> round(perplexity(np.zeros((2, 3, 4)), np.zeros((2, 3), int)), 6)
    4.0
    """
    return measured(Perplexity(ignore_index, axis), y, t)


def bits_per_character(
    y: Any, t: Any, ignore_index: int | None = None, axis: int = -1, characters_per_token: float = 1.0
) -> float:
    """The bits per character of one batch; see `BitsPerCharacter`.

    >>> round(bits_per_character(np.zeros((2, 3, 4)), np.zeros((2, 3), int)), 6)
    2.0
    """
    return measured(BitsPerCharacter(ignore_index, axis, characters_per_token), y, t)


def character_error_rate(y: str | Sequence[str], t: str | Sequence[str]) -> float:
    """The character error rate of some texts; see `CharacterErrorRate`.

    >>> character_error_rate("helo", "hello")
    0.2
    """
    return measured(CharacterErrorRate(), y, t)


def word_error_rate(y: str | Sequence[str], t: str | Sequence[str]) -> float:
    """The word error rate of some texts; see `WordErrorRate`.

    >>> word_error_rate("the cat sat", "the cat sat down")
    0.25
    """
    return measured(WordErrorRate(), y, t)


def edit_distance(a: Sequence[Any] | Array, b: Sequence[Any] | Array) -> int:
    """The least number of insertions, deletions and substitutions that transform one sequence into another (Levenshtein, 1966).

    ``a``, ``b``: strings, lists or arrays (T,), such as tokens or decoded labels. The running time is proportional to the
    product of the lengths.

    Raises `DTypeError` for arguments that are not sequences, and for elements that are not hashable.

    >>> edit_distance("kitten", "sitting"), edit_distance([1, 2, 3], np.array([1, 3]))
    (3, 1)
    """
    ids: dict[Any, int] = {}
    first, second = (np.array([ids.setdefault(e, len(ids)) for e in _elements(s)], np.int64) for s in (a, b))
    index = np.arange(len(second) + 1)
    row = index  # The distances from the empty sequence to each prefix of b.
    for i, element in enumerate(first, 1):
        new = np.minimum(row + 1, np.concatenate([[i], row[:-1] + (second != element)]))
        # Insertions: row[k] is at most row[j] + (k - j) for every j < k.
        row = np.minimum.accumulate(new - index) + index
    return int(row[-1])


def _elements(sequence: Any) -> list[Any]:
    if isinstance(sequence, np.ndarray) and sequence.ndim != 1:
        raise ShapeError(f"edit_distance: expected a sequence (T,), not an array {sequence.shape}; compare row by row")
    elements = on_host(sequence).tolist() if hasattr(sequence, "dtype") else sequence
    if not isinstance(elements, Sequence):
        raise DTypeError(f"edit_distance: {kind_of(sequence)} is not a sequence; give a str, a list or an array (T,)")
    for element in elements:
        if not isinstance(element, Hashable):
            raise DTypeError(
                f"edit_distance: an element is {kind_of(element)}, which is not hashable; give sequences of characters or tokens, "
                "and compare the rows of a batch one by one"
            )
    return list(elements)


def _texts(name: str, texts: Any) -> list[str]:
    items = [texts] if isinstance(texts, str) else texts
    if not isinstance(items, (list, tuple)) or not all(isinstance(text, str) for text in items):
        raise DTypeError(f"{name}: expected a str or a list of str, not {kind_of(texts)}; decode tokens first")
    if not items:
        raise ArgumentError(f"{name}: the list of texts is empty")
    return list(items)
