"""The text classifier: what is a text, and which of its words say so?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from gatewise.data.text.labelled import LabelledTexts
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify.evaluation import ClassEvaluation, judge, positive_class
from gatewise.tasks.language import LanguageModel
from gatewise.tasks.language.vectors import word_vectors
from gatewise.tasks.text_classification.attribution import Attribution
from gatewise.tasks.text_classification.fitting import (
    TextFit,
    TextOptions,
    TrainingTexts,
    fit_from_language_model,
    fit_text,
)

__all__ = ["TextClassifier"]


class TextClassifier(ClassifierMixin, Estimator):
    """Say which of several classes a text is of, with calibrated probabilities and what each word adds to them.

    Words go through recurrent layers of any cell, and the steps through a pooling that decides. A part of the training
    texts is held back to stop early and to calibrate (one temperature, Guo et al. 2017). Beside the network two linear
    classifiers over words and pairs of words are fitted, which `evaluate` puts beside it: logistic regression on TF-IDF
    and NB-SVM (Wang & Manning 2012). On small sets these are hard to beat.

    Args:
        cell: name of a registered cell with one input, or a cell of your own.
        hidden_size: units of a recurrent layer in each direction, at least 1.
        num_layers: recurrent layers, at least 1.
        bidirectional: whether the network also reads from the end.
        pooling: what of the steps decides: "attention", "mean", "max" or "last".
        word_size: numbers that stand for a word.
        lowercase: whether upper and lower case are one.
        min_count: words that come less often are unknown.
        max_words: the most words of the vocabulary.
        max_length: of a longer text, so many words from its beginning and end are read.
        vectors: a text file with a vector for each word, or the folder of a `LanguageModel` over words, for the start
            of training; or None.
        language_model: the folder of a `LanguageModel` over words, whose layers the classifier keeps and tunes (ULMFiT,
            Howard & Ruder 2018): lower layers at lower rates, set free one after the other. Cell, sizes and vocabulary
            are then the language model's. Or None.
        vector_words: beyond the training words, at most so many words are known from that file.
        dropout: probability in 0 to 1 (exclusive), in training.
        recurrent_dropout: the same for what the recurrent weights multiply (Gal & Ghahramani 2016).
        word_dropout: which share of the words passes for unknown in training.
        validation_fraction: which share of the texts is held back, above 0 and below 1.
        baselines: whether the linear classifiers are fitted and stored with the model.
        weight_decay: at least 0.
        batch_size: texts in a training batch.
        learning_rate: the schedule's peak, above 0; None: 0.002, or 0.01 from a language model (Howard & Ruder 2018,
            section 4.1).
        max_epochs: the most passes over the texts, at least 1.
        patience: end when the held-back log loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.

    Attributes:
        classes_: the classes, sorted.
        temperature_: what the logits are divided by.
        vectors_: how many words have a vector, or None.
        history_: one dict per epoch, with training and validation loss.
        best_epoch_: the epoch whose weights were kept.
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        validation_: what was held back, in words.
        fitted_: the fitted model itself.

    Example:
        >>> texts = ["a fine film", "a dull film", "fine and moving", "dull and long"] * 10
        >>> labels = ["good", "bad"] * 20
        >>> model = TextClassifier(
        ...     hidden_size=8,
        ...     word_size=8,
        ...     max_epochs=5,
        ...     learning_rate=2e-2,
        ...     random_state=0,
        ...     progress=False,
        ... )
        >>> model.fit(texts, labels).predict(["so fine", "so dull"]).tolist()
        ['good', 'bad']
        >>> model.attributions(["a fine film"])[0].complete
        True

    References:
        Yang et al. 2016 (attention); Howard & Ruder 2018 (fine-tuning); Sundararajan, Taly & Yan 2017 (attributions);
        Wang & Manning 2012 (NB-SVM).
    """

    @no_type_check
    def __init__(
        self,
        cell: Any = "lstm",
        hidden_size: int = 100,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "attention",
        word_size: int = 100,
        lowercase: bool = True,
        min_count: int = 2,
        max_words: int = 30_000,
        max_length: int = 400,
        vectors: Any = None,
        vector_words: int = 100_000,
        language_model: Any = None,
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        word_dropout: float = 0.1,
        validation_fraction: float = 0.1,
        baselines: bool = True,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        learning_rate: float | None = None,
        max_epochs: int = 10,
        patience: int | None = 3,
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
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.word_size = word_size
        self.lowercase = lowercase
        self.min_count = min_count
        self.max_words = max_words
        self.max_length = max_length
        self.vectors = vectors
        self.vector_words = vector_words
        self.language_model = language_model
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.word_dropout = word_dropout
        self.validation_fraction = validation_fraction
        self.baselines = baselines
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
    def fit(self, X: Any, y: Any = None, *, validation: Any = None) -> Self:
        """Fit to texts and their classes.

        Args:
            X: texts; or `LabelledTexts` as `gatewise.data.text.labelled.read_labelled` gives them.
            y: a class for each text (text or whole numbers); None beside `LabelledTexts`.
            validation: texts to hold back in place of a share: `LabelledTexts`, or a pair (X, y).

        Returns:
            This classifier.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: texts or classes cannot be used; the message says which.
        """
        options = TextOptions.from_estimator(self._plain(), self._seed())
        texts, labels = _labelled(X, y)
        classes = np.unique(labels)
        held = None
        if validation is not None:
            own = (validation, None) if isinstance(validation, LabelledTexts) else validation
            if not isinstance(own, tuple | list) or len(own) != 2:
                raise ArgumentError(
                    f"validation: LabelledTexts or a pair (X, y) is expected, came {type(validation).__name__}"
                )
            more, theirs = _labelled(*own)
            held = np.arange(len(texts), len(texts) + len(more))
            texts, labels = texts + more, np.concatenate([labels, theirs])
        if self.language_model is not None and self.vectors is not None:
            raise ArgumentError(
                "vectors: a language model brings its own; leave vectors or language_model out"
            )
        data = TrainingTexts(texts, _codes(labels, classes, "validation"), tuple(map(str, classes)), held)
        if self.language_model is not None:
            language = LanguageModel.load(self.language_model).fitted_
            self._remember(fit_from_language_model(data, options, language), classes)
            return self
        vectors = None if self.vectors is None else word_vectors(self.vectors)
        self._remember(fit_text(data, options, vectors), classes)
        return self

    @no_type_check
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Calibrated probabilities, (texts, classes), columns in the order of `classes_`."""
        fitted = self._fitted()
        return fitted.probabilities(_words(fitted, _texts(X)))

    @no_type_check
    def predict(self, X: Any) -> NDArray[Any]:
        """(texts,) the most probable class of each."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @no_type_check
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of texts whose class is met; see `evaluate` for more."""
        self._fitted()
        texts, labels = _labelled(X, y)
        right = self.predict(texts) == labels
        return float(np.average(right, weights=sample_weight))

    @no_type_check
    def evaluate(self, X: Any, y: Any = None, *, positive: Any = None) -> ClassEvaluation:
        """Compare with classes that the model was not fitted to, beside the majority class and two linear classifiers.

        Args:
            X, y: as in `fit`.
            positive: of two classes the one that average precision is of; None: the rarer one of the training labels.

        Returns:
            Scores, confusion, and a verdict in words; print it for a table.

        Raises:
            DataError: a class is none of those that were fitted.
            ArgumentError: `positive` is none of two classes.
        """
        fitted = self._fitted()
        texts, labels = _labelled(X, y)
        codes = _codes(labels, self.classes_, "y")
        words = _words(fitted, texts)
        probabilities = fitted.probabilities(words)
        found = judge(
            probabilities, codes, probabilities.argmax(axis=1).astype(np.int64), np.arange(len(codes)),
            model=fitted.network.plan.program.name, classes=fitted.classes, shares=fitted.shares, sequences=len(codes),
            positive=positive_class(positive, fitted.classes),
        )  # fmt: skip
        for name, baseline in fitted.baselines.items():
            found = found.beside(name, baseline.probabilities(words))
        return found

    @no_type_check
    def attributions(self, X: Any, target: Any = None) -> list[Attribution]:
        """What each word of a text adds to a class's log odds, by integrated gradients.

        Args:
            X: texts.
            target: the class to explain; None: of each text the most probable one.

        Returns:
            One for each text; `complete` says whether the words' parts add up to the whole.
        """
        fitted = self._fitted()
        texts = _texts(X)
        words = _words(fitted, texts)
        if target is None:
            targets = fitted.probabilities(words).argmax(axis=1)
        else:
            targets = np.repeat(_codes(np.array([target]), self.classes_, "target"), len(texts))
        return [fitted.attribution(own, int(one)) for own, one in zip(words, targets, strict=True)]

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.text_classification.persistence import load_text, save_text

        return save_text, load_text

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's own tools are told of this estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _fitted(self) -> Any:
        self._require_fitted("fitted_")
        return self.fitted_

    def _remember(self, result: TextFit, classes: NDArray[Any]) -> None:
        self._remember_training(result)
        self.classes_ = classes
        self.temperature_ = result.fitted.temperature
        self.vectors_ = result.vectors


def _texts(X: Any) -> list[str]:
    """Texts, none empty.

    Raises:
        DataError: naming the text.
    """
    if isinstance(X, LabelledTexts):
        return X.texts
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise DataError(f"X: a list of texts is expected, came {type(X).__name__}; for one text pass [text]")
    found = list(X)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise DataError(f"X[{index}]: a text is expected, came {text!r:.60} ({type(text).__name__})")
        if not text.strip():
            raise DataError(f"X[{index}]: the text is empty; leave it out")
    if not found:
        raise DataError("X: at least one text is expected, came none")
    return [str(text) for text in found]


def _words(fitted: Any, texts: list[str]) -> list[list[str]]:
    words = fitted.words(texts)
    empty = next((index for index, one in enumerate(words) if not one), None)
    if empty is not None:
        raise DataError(f"X[{empty}]: the text holds no word, came {texts[empty]!r:.60}; leave it out")
    return words


def _labelled(X: Any, y: Any) -> tuple[list[str], NDArray[Any]]:
    texts = _texts(X)
    if isinstance(X, LabelledTexts):
        if y is not None:
            raise ArgumentError("y: the texts bring their own labels along; leave y out")
        y = X.labels
    if y is None or isinstance(y, str):
        raise DataError(
            f"y: a class for each text is expected, came {y!r:.40} (this classifier requires y to be passed, but the "
            "target y is None)"
        )
    labels = np.asarray(list(y))
    if labels.shape != (len(texts),):
        raise DataError(
            f"y: a class for each of the {len(texts)} texts is expected, came shape {labels.shape}"
        )
    if labels.dtype.kind not in "Uiub":
        raise DataError(
            f"y: classes as texts or whole numbers are expected, none missing, came {labels.dtype}"
        )
    return texts, labels


def _codes(labels: NDArray[Any], classes: NDArray[Any], where: str) -> NDArray[np.int64]:
    place = {one: index for index, one in enumerate(classes.tolist())}
    codes = np.array([place.get(one, -1) for one in labels.tolist()], dtype=np.int64)
    if (codes < 0).any():
        bad = labels.tolist()[int(np.flatnonzero(codes < 0)[0])]
        raise DataError(
            f"{where}: the label {bad!r} is none of the classes that were fitted ({', '.join(map(repr, place))}); the "
            "labels do not match the model"
        )
    return codes
