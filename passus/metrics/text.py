"""How well text is predicted: perplexity, bits for each character, and how many edits lead from one sequence to another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from passus.arguments import checked_integer, checked_number
from passus.backend import Array
from passus.errors import ArgumentError, DTypeError, ShapeError, kind_of
from passus.functions.checks import array_of, check_label_shape, check_labels
from passus.functions.nn.class_axis import classes_second
from passus.functions.nn.classification import softmax_cross_entropy
from passus.metrics.base import Averaged, here, measured
from passus.metrics.classification import checked_ignored

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
    """``exp`` of the mean cross entropy of all tokens: among how many equally likely ones a model seems to choose.

    ``y``: logits (N, ..., V), with the tokens on ``axis``; ``t``: integers (N, ...). Labels that are ``ignore_index`` do not
    count. The losses are added up over all batches before ``exp`` is taken.

    Raises `ShapeError` and `LabelError` for labels that do not fit.

    >>> metric = Perplexity()
    >>> metric.update(np.zeros((2, 3, 4)), np.array([[0, 1, 2], [3, 0, 1]]))
    >>> round(metric.compute(), 6)
    4.0
    """

    def __init__(self, ignore_index: int | None = None, axis: int = -1) -> None:
        self.ignore_index = checked_ignored(type(self).__name__, ignore_index)
        self.axis = checked_integer(type(self).__name__, "axis", axis)
        super().__init__()

    def update(self, y: Any, t: Any) -> None:
        """Add a batch of logits and tokens."""
        name = type(self).__name__
        scores, labels = array_of(name, y), array_of(name, t)
        classes = check_label_shape(name, classes_second(name, scores, self.axis), labels, self.axis)
        counted = here(labels) if self.ignore_index is None else here(labels)[here(labels) != self.ignore_index]
        count = check_labels(name, counted, classes).size
        if count:
            losses: Any = softmax_cross_entropy(
                scores, labels, ignore_index=self.ignore_index, reduction="none", axis=self.axis
            )
            self._mean.total += float(here(losses).sum(dtype=np.float64))
            self._mean.weight += count

    def compute(self) -> float:
        """The perplexity; infinite where it has no number. Raises `ArgumentError` if there was no token."""
        try:
            return math.exp(self._mean.compute())
        except OverflowError:
            return math.inf


class BitsPerCharacter(Perplexity):
    """The mean cross entropy in bits: what an arithmetic coder with this model would write for each character.

    ``characters_per_token``: how many characters, or bytes, a token stands for on the average; 1 for a tokenizer of
    characters. The rest is as in `Perplexity`.

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
        """The bits. Raises `ArgumentError` if there was no token."""
        return self._mean.compute() / math.log(2) / self.characters_per_token


class _ErrorRate(Averaged):
    """The number of edits that lead from predictions to the truth, over the length of the truth."""

    units: ClassVar[Callable[[str], Sequence[str]]]
    """What is inserted, left out and exchanged."""

    def update(self, y: str | Sequence[str], t: str | Sequence[str]) -> None:
        """Add a text and what it should be, or as many of one as of the other."""
        predictions, truths = _texts(type(self).__name__, y), _texts(type(self).__name__, t)
        if len(predictions) != len(truths):
            raise ShapeError(f"{type(self).__name__}: there are {len(predictions)} predictions for {len(truths)} texts")
        for prediction, truth in zip(predictions, truths):
            a, b = type(self).units(prediction), type(self).units(truth)
            self._mean.total += edit_distance(a, b)
            self._mean.weight += len(b)

    def compute(self) -> float:
        """The rate; it may be above 1. Raises `ArgumentError` if all texts were empty."""
        return self._mean.compute()


class CharacterErrorRate(_ErrorRate):
    """The number of characters to insert, leave out or exchange, divided by the number of characters of the right texts.

    ``y``, ``t``: a str each, or equally many. Raises `ShapeError` for unequally many.

    >>> metric = CharacterErrorRate()
    >>> metric.update(["helo", "world"], ["hello", "word"])
    >>> round(metric.compute(), 4)
    0.2222
    """

    units: ClassVar[Callable[[str], Sequence[str]]] = staticmethod(str)


class WordErrorRate(_ErrorRate):
    """The number of words to insert, leave out or exchange, divided by the number of words of the right texts.

    Words are what white space divides. The rest is as in `CharacterErrorRate`.

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
    """How many elements must be inserted, left out or exchanged to make one sequence of another (Levenshtein, 1966).

    ``a``, ``b``: strings, lists or arrays (T,), such as tokens or the labels of a decoder. It takes time in proportion to the
    product of the lengths.

    Raises `DTypeError` for what is no sequence.

    >>> edit_distance("kitten", "sitting"), edit_distance([1, 2, 3], np.array([1, 3]))
    (3, 1)
    """
    numbers: dict[Any, int] = {}
    first, second = (np.array([numbers.setdefault(e, len(numbers)) for e in _elements(s)], np.int64) for s in (a, b))
    place = np.arange(len(second) + 1)
    row = place  # From nothing to each beginning of b.
    for i, element in enumerate(first, 1):
        new = np.minimum(row + 1, np.concatenate([[i], row[:-1] + (second != element)]))
        # Insertions: each place is at most as far away as one before it, and the places between.
        row = np.minimum.accumulate(new - place) + place
    return int(row[-1])


def _elements(sequence: Any) -> list[Any]:
    if isinstance(sequence, np.ndarray) and sequence.ndim != 1:
        raise ShapeError(f"edit_distance: an array {sequence.shape} is no sequence (T,); compare the rows one by one")
    elements = here(sequence).tolist() if hasattr(sequence, "dtype") else sequence
    if not isinstance(elements, Sequence):
        raise DTypeError(f"edit_distance: {kind_of(sequence)} is no sequence; give a str, a list or an array (T,)")
    return list(elements)


def _texts(name: str, texts: Any) -> list[str]:
    given = [texts] if isinstance(texts, str) else texts
    if not isinstance(given, (list, tuple)) or not all(isinstance(text, str) for text in given):
        raise DTypeError(f"{name}: expected a str or a list of them, not {kind_of(texts)}; decode tokens first")
    if not given:
        raise ArgumentError(f"{name}: there is no text")
    return list(given)
