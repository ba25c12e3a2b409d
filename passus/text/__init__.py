"""Text processing: tokenizers, corpora larger than memory, windows of tokens, and sequence search.

>>> import numpy as np
>>> tokenizer = CharTokenizer.from_text("to be or not to be")
>>> ids = tokenizer.encode("to be")
>>> tokenizer.decode(ids), tokenizer.vocab_size
('to be', 7)
>>> x, t = TokenWindows(ids, length=4)[0]
>>> tokenizer.decode(x), tokenizer.decode(t)
('to b', 'o be')
"""

from passus import answers as _answers
from passus import exports as _exports
from passus import foreign as _foreign
from passus.text.alignments import ctc_beam_search as ctc_beam_search
from passus.text.alignments import ctc_greedy as ctc_greedy
from passus.text.base import Tokenizer as Tokenizer
from passus.text.beams import Hypothesis as Hypothesis
from passus.text.beams import beam_search as beam_search
from passus.text.characters import ByteTokenizer as ByteTokenizer
from passus.text.characters import CharTokenizer as CharTokenizer
from passus.text.corpora import standard_library as standard_library
from passus.text.pairs import BPETokenizer as BPETokenizer
from passus.text.saved import load_tokenizer as load_tokenizer
from passus.text.tokens import TokenFile as TokenFile
from passus.text.tokens import write_tokens as write_tokens
from passus.text.windows import RandomWindows as RandomWindows
from passus.text.windows import TokenWindows as TokenWindows

_exports.export_names(__name__)
_answers.answers_for(__name__, _foreign.TEXT)
