"""Texts to texts by an encoder-decoder with attention: translation and summaries."""

from gatewise.tasks.seq2seq.summarizer import Summarizer
from gatewise.tasks.seq2seq.translator import Translator

__all__ = ["Summarizer", "Translator"]
