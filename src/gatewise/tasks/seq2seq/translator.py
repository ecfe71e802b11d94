"""The translator."""

from __future__ import annotations

from typing import Any, ClassVar

from gatewise.nn.arguments import no_type_check
from gatewise.tasks.seq2seq.estimator import SequenceToSequence, pairs_of
from gatewise.tasks.seq2seq.evaluation import TextEvaluation, judge_translations
from gatewise.tasks.seq2seq.metrics import require

__all__ = ["Translator"]


class Translator(SequenceToSequence):
    """Translate texts, learned from pairs of a text and its translation.

    An encoder of any cell reads the source in both directions, a decoder of the same cell attends to it (Bahdanau et
    al. 2015; Luong et al. 2015). Both languages share one vocabulary of subwords and one table of embeddings, which is
    the output layer too. Translations are found by beam search with length and coverage penalties (Wu et al. 2016).

    Args:
        cell: name of a registered cell, or a cell of your own, with one input (see `gatewise.cells.names()`).
        hidden_size: units of a layer, for the encoder in each direction.
        embedding_size: numbers for a token; None: hidden_size.
        num_layers: recurrent layers of encoder and decoder.
        attention: "additive", "dot", "general" or "concat", see `gatewise.nn.Attention`.
        feeding: what a step of the decoder reads beside the last token: "input", the last readout (Luong et al. 2015);
            "context", what the last output attends to (Bahdanau et al. 2015); or "none", with which a whole target is
            one call of the recurrent layer in training. None: "input".
        tokens: "subword" (byte-level BPE, needs the `tokenizers` library), "word" (words and signs), "split" (what
            stands between blanks, for text that is tokenised already) or "character". None: "subword".
        vocabulary_size: the most tokens of a vocabulary. None: 8000.
        min_count: words (or pairs of subwords) that come less often have no number of their own.
        lowercase: whether letters are made small; what is said is in small letters then.
        shared_vocabulary: whether both sides have one vocabulary. None: True.
        copy: whether words of the source can be copied (pointer-generator, See et al. 2017). None: False.
        coverage: weight of the coverage loss (the same), at least 0; above 0 the attention also reads what was attended
            to so far. None: 0.
        dropout: probability in 0 to 1 (exclusive), of embeddings, the encoder's output and the readout, in training.
        label_smoothing: in 0 to 1 (exclusive).
        max_source_length, max_target_length: the most tokens; what is longer is cut.
        beam_size: hypotheses that are followed.
        length_penalty: exponent of Wu's penalty, at least 0; more favours longer translations. None: 0.8.
        coverage_penalty: its weight, at least 0; more favours translations that leave nothing out. None: 0.1.
        no_repeat_ngram: no so many tokens in a row come twice; 0: no such rule. None: 0.
        validation_fraction: which share of the pairs is held back to stop early, above 0 and below 1.
        weight_decay: at least 0.
        batch_size: pairs in a batch. None: 64.
        learning_rate: the schedule's peak, above 0.
        max_epochs: the most passes over the pairs.
        patience: end when the validation loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.

    Attributes:
        history_: one dict per epoch, with training and validation loss, and the perplexity of a token held back.
        best_epoch_: the epoch whose weights were kept.
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        validation_: what was held back, in words.
        fitted_: the fitted model itself.

    Example:
        >>> sources = ["rot blau", "blau rot", "rot rot", "blau blau"] * 8
        >>> targets = ["red blue", "blue red", "red red", "blue blue"] * 8
        >>> model = Translator(
        ...     tokens="word",
        ...     hidden_size=16,
        ...     learning_rate=0.02,
        ...     dropout=0.0,
        ...     batch_size=8,
        ...     max_epochs=30,
        ...     random_state=0,
        ...     progress=False,
        ... )
        >>> model.fit(sources, targets, validation=(sources[:4], targets[:4])).translate("blau rot")
        'blue red'

    References:
        Bahdanau et al. 2015, "Neural machine translation by jointly learning to align and translate"; Luong et al.
        2015, "Effective approaches to attention-based neural machine translation"; Sennrich et al. 2016, "Neural
        machine translation of rare words with subword units"; See et al. 2017, "Get to the point"; Wu et al. 2016,
        "Google's neural machine translation system".
    """

    KIND = "translator"
    WORDS_TRANSLATE = True
    DEFAULTS: ClassVar = {
        "feeding": "input",
        "tokens": "subword",
        "vocabulary_size": 8000,
        "shared_vocabulary": True,
        "copy": False,
        "coverage": 0.0,
        # Better than 1 and 0 in both directions on Multi30k's development part (docs/results/translation.md).
        "length_penalty": 0.8,
        "coverage_penalty": 0.1,
        "no_repeat_ngram": 0,
        "batch_size": 64,
    }

    @no_type_check
    def translate(self, text: str | Any) -> Any:
        """The translation of one text, or of each text of a list: `predict` for both."""
        return self.predict([text])[0] if isinstance(text, str) else self.predict(text)

    @no_type_check
    def score(self, X: Any, y: Any) -> float:
        """BLEU of the best targets, 0 to 1; see `evaluate` for more.

        Args:
            X, y: as in `fit`.

        Raises:
            ArgumentError: sacreBLEU is not installed.
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
            ArgumentError: sacreBLEU is not installed.
            DataError: the texts cannot be used.
        """
        require("sacrebleu")
        sources, expected = pairs_of(X, y)
        return judge_translations(self.fitted_, sources, expected, self.predict(sources))
