"""What the translator and the summarizer share: fit to pairs of texts, say a text for a text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.options import check_count
from gatewise.tasks.seq2seq.encoding import check_texts
from gatewise.tasks.seq2seq.fitted import Manner, Said
from gatewise.tasks.seq2seq.fitting import FitResult, Options, Texts, fit_pairs

__all__ = ["SequenceToSequence", "pairs_of"]


class SequenceToSequence(Estimator):
    """Texts to texts by an encoder-decoder with attention; see `Translator` and `Summarizer`."""

    # What a model folder calls it, what None stands for, and whether words have translations.
    KIND: ClassVar[str]
    DEFAULTS: ClassVar[Mapping[str, Any]]
    WORDS_TRANSLATE: ClassVar[bool]

    @no_type_check
    def __init__(
        self,
        cell: Any = "gru",
        hidden_size: int = 256,
        embedding_size: int | None = None,
        num_layers: int = 1,
        attention: str = "additive",
        feeding: str | None = None,
        tokens: str | None = None,
        vocabulary_size: int | None = None,
        min_count: int = 2,
        lowercase: bool = False,
        shared_vocabulary: bool | None = None,
        copy: bool | None = None,
        coverage: float | None = None,
        dropout: float = 0.3,
        label_smoothing: float = 0.1,
        max_source_length: int = 400,
        max_target_length: int = 200,
        beam_size: int = 5,
        length_penalty: float | None = None,
        coverage_penalty: float | None = None,
        no_repeat_ngram: int | None = None,
        validation_fraction: float = 0.05,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        max_epochs: int = 30,
        patience: int | None = 5,
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
        self.embedding_size = embedding_size
        self.num_layers = num_layers
        self.attention = attention
        self.feeding = feeding
        self.tokens = tokens
        self.vocabulary_size = vocabulary_size
        self.min_count = min_count
        self.lowercase = lowercase
        self.shared_vocabulary = shared_vocabulary
        self.copy = copy
        self.coverage = coverage
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty
        self.no_repeat_ngram = no_repeat_ngram
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

    def chosen(self) -> dict[str, Any]:
        """The parameters, with what None stands for in its place."""
        given = self.get_params()
        return given | {name: value for name, value in self.DEFAULTS.items() if given[name] is None}

    @no_type_check
    def fit(self, X: Any, y: Any, *, validation: Any = None) -> Self:
        """Fit to sources and their targets.

        Args:
            X: the sources, a list of texts.
            y: the targets, as many, in the same order.
            validation: a pair (X, y) to hold back, in place of a share of the pairs.

        Returns:
            This estimator.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: the texts cannot be used; the message says which.
        """
        sources, targets = pairs_of(X, y)
        held = None
        if validation is not None:
            if not isinstance(validation, tuple | list) or len(validation) != 2:
                raise ArgumentError(
                    f"validation: a pair (X, y) is expected, came {type(validation).__name__}"
                )
            more = pairs_of(*validation, names=("validation[0]", "validation[1]"))
            sources, targets, held = sources + more[0], targets + more[1], len(more[0])
        options = Options.from_estimator(self._plain(), self._seed())
        self._manner()
        self._remember(fit_pairs(Texts(sources, targets, held, self.WORDS_TRANSLATE), options))
        return self

    @no_type_check
    def predict(self, X: Any) -> list[str]:
        """The best target that the beam finds for each source.

        Args:
            X: a list of texts.

        Returns:
            As many texts, in their order.

        Raises:
            DataError: something is no text, or empty.
        """
        return [own[0].text for own in self._say(X, self._manner())]

    @no_type_check
    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[str, float]]]:
        """The best targets for each source, with their scores, best first.

        Args:
            X: a list of texts.
            n: how many, at least 1; a beam is at least so wide.

        Returns:
            For each source up to `n` pairs of a text and its score (see `gatewise.decode.Penalties`).
        """
        check_count("n", n)
        return [[(one.text, one.score) for one in own] for own in self._say(X, self._manner(n))]

    @no_type_check
    def sample(
        self, X: Any, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
    ) -> list[str]:
        """A target for each source, drawn at random from the model.

        Args:
            X: a list of texts.
            temperature, top_k, top_p: see `gatewise.decode.narrow`.
        """
        self._require_fitted("fitted_")
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        return self.fitted_.draw(check_texts("X", X), self._seed(), **options)

    @no_type_check
    def attend(self, X: Any) -> list[Said]:
        """The best target of each source with its tokens and the attention between them.

        Returns:
            For each source its target; `attention` is (tokens, source tokens), each row adds up to 1. See
            `gatewise.tasks.seq2seq.figures.plot_attention` for a picture.
        """
        return [own[0] for own in self._say(X, self._manner(), attention=True)]

    @no_type_check
    def log_probs(self, X: Any, y: Any) -> NDArray[np.float64]:
        """How likely each target is given its source.

        Args:
            X, y: as in `fit`.

        Returns:
            (pairs,) natural logarithms, the target's end included.
        """
        self._require_fitted("fitted_")
        return self.fitted_.log_probs(*pairs_of(X, y))

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.seq2seq.persistence import load_pairs_model, save_pairs_model

        return save_pairs_model, load_pairs_model

    def _manner(self, n_best: int = 1) -> Manner:
        """How targets are found, checked."""
        chosen = self._plain().chosen()
        for name, least in (("beam_size", 1), ("no_repeat_ngram", 0)):
            check_count(name, chosen[name], least)
        for name in ("length_penalty", "coverage_penalty"):
            value = chosen[name]
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
                raise ArgumentError(f"{name}: a finite number of at least 0 is expected, came {value!r}")
        return Manner(
            max(int(chosen["beam_size"]), n_best), n_best, float(chosen["length_penalty"]),
            float(chosen["coverage_penalty"]), int(chosen["no_repeat_ngram"]),
        )  # fmt: skip

    def _say(self, X: Any, manner: Manner, *, attention: bool = False) -> list[list[Said]]:
        self._require_fitted("fitted_")
        found, cut = self.fitted_.say(check_texts("X", X), manner, attention=attention)
        if cut:
            warnings.warn(
                f"{cut:,} of {len(found):,} sources are longer than the model reads and were cut after "
                f"{self.fitted_.coder.max_source:,} tokens; fit with a larger max_source_length to read more",
                stacklevel=3,
            )
        return found

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)


def pairs_of(X: Any, y: Any, names: tuple[str, str] = ("X", "y")) -> tuple[list[str], list[str]]:
    """Sources and targets, checked.

    Raises:
        DataError: there are not as many of each, or one is empty or no text.
    """
    sources, targets = check_texts(names[0], X), check_texts(names[1], y)
    if len(sources) != len(targets):
        raise DataError(
            f"{names[1]}: as many texts as in {names[0]} are expected, came {len(targets):,} for {len(sources):,}: "
            "line n of one belongs to line n of the other; look for the first line where they come apart"
        )
    return sources, targets
