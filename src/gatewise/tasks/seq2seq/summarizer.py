"""The summarizer."""

from __future__ import annotations

from typing import Any, ClassVar

from gatewise.nn.arguments import no_type_check
from gatewise.tasks.seq2seq.estimator import SequenceToSequence, pairs_of
from gatewise.tasks.seq2seq.evaluation import TextEvaluation, judge_summaries
from gatewise.tasks.seq2seq.metrics import require

__all__ = ["Summarizer"]


class Summarizer(SequenceToSequence):
    """Say in a few words what a text says, learned from texts and their summaries.

    A pointer-generator (See et al. 2017): a bidirectional encoder, a decoder that attends to it, and at each step a
    choice between a word of the vocabulary and a word of the text, known or not; a coverage loss keeps it from saying
    the same twice. All parameters are `Translator`'s.

    Where None is given: feeding "none", tokens "word", vocabulary_size 20000, shared_vocabulary True, copy True,
    coverage 1.0, length_penalty 1.0, coverage_penalty 0.0, no_repeat_ngram 3, batch_size 32.

    Args:
        cell, hidden_size, embedding_size, num_layers, attention, feeding: of the network, see `Translator`.
        tokens, vocabulary_size, min_count, lowercase, shared_vocabulary, copy, coverage: see `Translator`.
        dropout, label_smoothing, max_source_length, max_target_length: see `Translator`.
        beam_size, length_penalty, coverage_penalty, no_repeat_ngram: see `Translator`.
        validation_fraction, weight_decay, batch_size, learning_rate, max_epochs, patience, max_time: see `Translator`.
        random_state, device, precision, engine, progress, checkpoint_folder: see `Translator`.

    Attributes:
        history_, best_epoch_, stopped_, fit_seconds_, validation_, fitted_: see `Translator`.

    Example:
        >>> texts = [f"we talk of {word} at length today" for word in ("cats", "dogs", "rain", "snow")] * 8
        >>> summaries = [text.split()[3] for text in texts]
        >>> model = Summarizer(
        ...     hidden_size=16,
        ...     learning_rate=0.02,
        ...     dropout=0.0,
        ...     batch_size=8,
        ...     max_epochs=10,
        ...     random_state=0,
        ...     progress=False,
        ... )
        >>> model.fit(texts, summaries, validation=(texts[:4], summaries[:4])).summarize(texts[2])
        'rain'

    References:
        See, Liu & Manning 2017, "Get to the point: summarization with pointer-generator networks".
    """

    KIND = "summarizer"
    WORDS_TRANSLATE = False
    DEFAULTS: ClassVar = {
        "feeding": "none",
        "tokens": "word",
        "vocabulary_size": 20_000,
        "shared_vocabulary": True,
        "copy": True,
        "coverage": 1.0,
        "length_penalty": 1.0,
        "coverage_penalty": 0.0,
        "no_repeat_ngram": 3,
        "batch_size": 32,
    }

    @no_type_check
    def summarize(self, text: str | Any) -> Any:
        """The summary of one text, or of each text of a list: `predict` for both."""
        return self.predict([text])[0] if isinstance(text, str) else self.predict(text)

    @no_type_check
    def score(self, X: Any, y: Any) -> float:
        """ROUGE-L of the best targets, 0 to 1; see `evaluate` for more.

        Args:
            X, y: as in `fit`.

        Raises:
            ArgumentError: rouge-score is not installed.
        """
        evaluation = self.evaluate(X, y)
        return evaluation.scores[evaluation.model][evaluation.main] / 100

    @no_type_check
    def evaluate(self, X: Any, y: Any) -> TextEvaluation:
        """Compare with targets that the model was not fitted to, beside what needs no network.

        Args:
            X, y: as in `fit`.

        Returns:
            Scores, signatures, examples and a verdict in words; print it for a table.

        Raises:
            ArgumentError: rouge-score is not installed.
            DataError: the texts cannot be used.
        """
        require("rouge_score")
        sources, expected = pairs_of(X, y)
        return judge_summaries(self.fitted_, sources, expected, self.predict(sources))
