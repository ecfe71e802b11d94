"""The sequence tagger: a tag for each word (a name, a slot, a part of speech), and an intent for the sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text.columns import TaggedSentences
from gatewise.data.text.tags import check_tags, split_tag
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.language.vectors import word_vectors
from gatewise.tasks.tagging.baselines import FREQUENT
from gatewise.tasks.tagging.encoding import check_sentences
from gatewise.tasks.tagging.evaluation import Said, TagEvaluation, judge_tags
from gatewise.tasks.tagging.fitting import FitResult, TaggerOptions, TrainingSentences, fit_tagger
from gatewise.tasks.tagging.sentences import Labelled, labelled

__all__ = ["SequenceTagger"]


class SequenceTagger(Estimator):
    """Say of each word of a sentence what it is; and, where intents are given, of the sentence what it wants.

    Words, their characters and how they are written go through recurrent layers of any cell in both directions; a CRF
    chooses the best tags together, and never ones that are not valid. A part of the training sentences is held back;
    the weights with the best F1 of spans there (with intents: the mean of F1 and the intents' accuracy) are kept.

    Args:
        cell: name of a registered cell with one input, or a cell of your own.
        hidden_size: units of a recurrent layer in each direction, at least 1.
        num_layers: recurrent layers, at least 1.
        word_size: numbers that stand for a word.
        characters: "cnn" (Ma & Hovy 2016), "lstm" (Lample et al. 2016) or "none".
        character_size: numbers that stand for a word's characters; even with "lstm".
        head: "crf" or "softmax".
        scheme: of the tags given: "iob1", "bio", "bioes", "none" for tags that mark no spans, or "auto".
        coding: how the network marks spans: "bio" or "bioes". Predictions come in the scheme of the tags given.
        normalise: whether the words' vocabulary is lower case, with digits as 0.
        min_count: words that come less often are unknown.
        unknown_rate: in training, which share of the words that come once passes for unknown, 0 to 1 (exclusive).
        vectors: a text file with a vector for each word, or the folder of a `LanguageModel` over words, for the start
            of training; or None.
        vector_words: beyond the training words, at most so many words are known from that file.
        dropout: probability in 0 to 1 (exclusive), in training; one mask for all words of a sentence.
        recurrent_dropout: the same for what the recurrent weights multiply (Gal & Ghahramani 2016).
        validation_fraction: which share of the sentences is held back, above 0 and below 1.
        weight_decay: at least 0.
        batch_size: sentences in a training batch.
        learning_rate: the schedule's peak, above 0.
        max_epochs: the most passes over the sentences, at least 1.
        patience: end when held-back sentences have not been tagged better for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.

    Attributes:
        classes_: the network's tags, in the order of `predict_proba`'s columns.
        intents_: the intents, sorted; empty where there are none.
        scheme_: of the tags given.
        vectors_: how many words have a vector, or None.
        history_: one dict per epoch, with training loss, validation loss, F1 and accuracies.
        best_epoch_: the epoch whose weights were kept.
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        validation_: what was held back, in words.
        fitted_: the fitted model itself.

    Example:
        >>> X = [["Mia", "runs"], ["Ben", "sleeps"], ["dogs", "run"], ["Mia", "sleeps"]] * 5
        >>> y = [["B-PER", "O"], ["B-PER", "O"], ["O", "O"], ["B-PER", "O"]] * 5
        >>> model = SequenceTagger(hidden_size=8, max_epochs=10, random_state=0, progress=False).fit(X, y)
        >>> model.predict([["Ben", "runs"]])
        [['B-PER', 'O']]

    References:
        Huang, Xu & Yu 2015; Lample et al. 2016, "Neural architectures for named entity recognition"; Ma & Hovy 2016;
        Goo et al. 2018 (intents and slots by one network).
    """

    @no_type_check
    def __init__(
        self,
        cell: Any = "lstm",
        hidden_size: int = 100,
        num_layers: int = 1,
        word_size: int = 100,
        characters: str = "cnn",
        character_size: int = 50,
        head: str = "crf",
        scheme: str = "auto",
        coding: str = "bio",
        normalise: bool = True,
        min_count: int = 1,
        unknown_rate: float = 0.5,
        vectors: Any = None,
        vector_words: int = 100_000,
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        validation_fraction: float = 0.15,
        weight_decay: float = 0.0,
        batch_size: int = 16,
        learning_rate: float = 3e-3,
        max_epochs: int = 40,
        patience: int | None = 10,
        max_time: float | None = None,
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "auto",
        engine: str = "auto",
        progress: bool = True,
        checkpoint_folder: Any = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.word_size = word_size
        self.characters = characters
        self.character_size = character_size
        self.head = head
        self.scheme = scheme
        self.coding = coding
        self.normalise = normalise
        self.min_count = min_count
        self.unknown_rate = unknown_rate
        self.vectors = vectors
        self.vector_words = vector_words
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.validation_fraction = validation_fraction
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_time = max_time
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.engine = engine
        self.progress = progress
        self.checkpoint_folder = checkpoint_folder

    @no_type_check
    def fit(self, X: Any, y: Any = None, *, intents: Any = None, validation: Any = None) -> Self:
        """Fit to sentences and their tags.

        Args:
            X: sentences, each a list of words; or `TaggedSentences` as `gatewise.data.text.read_sentences` gives them,
                which bring their tags and intents along.
            y: for each sentence a list of tags, one for each word; None for a tag that is not known (then all tags that
                agree with the known ones are learned from, Tsuboi et al. 2008).
            intents: for each sentence what it wants, or None.
            validation: sentences to hold back in place of a share: `TaggedSentences`, or a tuple (X, y) or
                (X, y, intents).

        Returns:
            This tagger.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: sentences, tags or vectors cannot be used; the message says which.
        """
        options = TaggerOptions.from_estimator(self._plain(), self._seed())
        data = labelled(X, y, intents, "X")
        parts, held = [data], None
        if validation is not None:
            other = _validation(validation)
            if (other.intents is None) != (data.intents is None):
                raise DataError("validation: intents in both or in neither are expected; give them to both")
            parts.append(other)
            held = np.arange(len(data.tokens), len(data.tokens) + len(other.tokens))
        vectors = None if self.vectors is None else word_vectors(self.vectors)
        whole = TrainingSentences(
            [one for part in parts for one in part.tokens],
            [one for part in parts for one in part.tags],
            None if data.intents is None else [one for part in parts for one in part.intents or []],
            held,
            [one for part in parts for one in part.where],
        )
        self._remember(fit_tagger(whole, options, vectors))
        return self

    @no_type_check
    def predict(self, X: Any) -> list[list[str]]:
        """The best tags of each sentence together, valid in the scheme of the tags that were fitted.

        Args:
            X: sentences, each a list of words; or `TaggedSentences`.
        """
        return self._fitted().say(_sentences(X))[0]

    @no_type_check
    def predict_proba(self, X: Any) -> list[NDArray[np.float64]]:
        """The probability of each tag at each word (the CRF's marginals).

        Returns:
            For each sentence an array of shape (words, tags), its columns in the order of `classes_`.
        """
        return self._fitted().marginals(_sentences(X))

    @no_type_check
    def predict_intents(self, X: Any) -> list[str]:
        """The most probable intent of each sentence.

        Raises:
            DataError: the model was fitted without intents.
        """
        found = self._with_intents().say(_sentences(X))[1]
        return found or []

    @no_type_check
    def predict_intent_proba(self, X: Any) -> NDArray[np.float64]:
        """(sentences, intents) probabilities, columns in the order of `intents_`."""
        return self._with_intents().intent_probabilities(_sentences(X))

    @no_type_check
    def score(self, X: Any, y: Any = None, *, unknown: str = "error") -> float:
        """F1 of spans (of tags that mark none: the share that is right); see `evaluate`."""
        own = self.evaluate(X, y, unknown=unknown).scores
        first = next(iter(own.values()))
        return float(first.f1 if first.f1 is not None else first.tag_accuracy)

    @no_type_check
    def evaluate(
        self, X: Any, y: Any = None, *, intents: Any = None, unknown: str = "error"
    ) -> TagEvaluation:
        """Compare with tags that the model was not fitted to, beside the trivial methods.

        Args:
            X, y, intents: as in `fit`; all tags must be known.
            unknown: what tags and intents that training did not show are: "error", or "missed": they count, and are
                never met.

        Returns:
            Scores, and a verdict in words; print it for a table.

        Raises:
            DataError: tags are not valid or not known; it names the sentence.
        """
        fitted = self._fitted()
        if unknown not in ("error", "missed"):
            raise ArgumentError(f'unknown: "error" or "missed" is expected, came {unknown!r}')
        data = labelled(X, y, intents, "X")
        self._check_gold(data, refuse=unknown == "error")
        tags, said = fitted.say(data.tokens)
        trivial = fitted.baselines.said_intents(data.tokens) if data.intents is not None else {}
        model = fitted.network.plan.program.name
        methods = {
            model: Said(tags, said if data.intents is not None else None),
            FREQUENT: Said(fitted.baselines.tags(data.tokens, fitted.scheme)),
            **{name: Said(None, own) for name, own in trivial.items()},
        }
        gold = Said(data.tags, data.intents)  # type: ignore[arg-type]
        return judge_tags(data.tokens, gold, methods, model=model, spanned=fitted.spanned, known=fitted.known)

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.tagging.persistence import load_tagger, save_tagger

        return save_tagger, load_tagger

    def _fitted(self) -> Any:
        self._require_fitted("fitted_")
        return self.fitted_

    def _with_intents(self) -> Any:
        fitted = self._fitted()
        if not fitted.intents:
            raise DataError(
                "this tagger was fitted without intents; give them to fit: fit(X, y, intents=...)"
            )
        return fitted

    def _check_gold(self, data: Labelled, *, refuse: bool) -> None:
        """Refuse right tags that are missing, not valid, or (if asked) not known to the model."""
        fitted = self.fitted_
        if data.intents is not None and not fitted.intents:
            raise DataError("intents: this tagger was fitted without; leave them out")
        known, intents = set(fitted.known), set(fitted.intents)
        for index, own in enumerate(data.tags):
            where = data.where[index]
            if None in own:
                raise DataError(
                    f"{where}, word {own.index(None) + 1}: its tag is not known; give all tags to compare"
                )
            if fitted.spanned:
                check_tags(own, fitted.scheme, where)
            if not refuse:
                continue
            for place, tag in enumerate(own):
                kind = split_tag(tag)[1] if fitted.spanned else tag
                if kind and kind not in known:
                    raise DataError(
                        f"{where}, word {place + 1}: the model does not know the tag {tag!r}, which training did not "
                        'show; with unknown="missed" it counts as missed'
                    )
            if data.intents is not None and data.intents[index] not in intents:
                raise DataError(
                    f"{where}: the model does not know the intent {data.intents[index]!r}, which training did not "
                    'show; with unknown="missed" it counts as missed'
                )

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)
        fitted = result.fitted
        self.classes_ = np.array(fitted.tags)
        self.intents_ = fitted.intents
        self.scheme_ = fitted.scheme
        self.vectors_ = result.vectors


def _sentences(X: Any) -> list[list[str]]:
    return X.tokens if isinstance(X, TaggedSentences) else check_sentences(X)


def _validation(given: Any) -> Labelled:
    if isinstance(given, TaggedSentences):
        return labelled(given, None, None, "validation")
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise ArgumentError(
            f"validation: TaggedSentences, (X, y) or (X, y, intents) is expected, came {type(given).__name__}"
        )
    X, y, *rest = given
    return labelled(X, y, rest[0] if rest else None, "validation")
