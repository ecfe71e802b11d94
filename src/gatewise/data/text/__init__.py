"""Text: files that are read strictly, tokens and their vocabularies, streams and batches of them."""

from gatewise.data.text.files import read_lines, read_text
from gatewise.data.text.streams import PackedStreams, length_batches, padded, window_lengths
from gatewise.data.text.subwords import SubwordTokenizer
from gatewise.data.text.tokens import (
    LINE_END,
    CharacterTokenizer,
    Joiner,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_dict,
)
from gatewise.data.text.vocabulary import PAD, UNKNOWN, Vocabulary

__all__ = [
    "LINE_END",
    "PAD",
    "UNKNOWN",
    "CharacterTokenizer",
    "Joiner",
    "PackedStreams",
    "SubwordTokenizer",
    "Tokenizer",
    "Vocabulary",
    "WordTokenizer",
    "length_batches",
    "padded",
    "read_lines",
    "read_text",
    "tokenizer_from_dict",
    "window_lengths",
]
