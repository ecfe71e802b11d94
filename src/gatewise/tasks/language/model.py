"""`LanguageModel`: learns how texts go on, tells how probable a text is, and writes."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gatewise.data.text import read_text
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.language.dynamic import Dynamic
from gatewise.tasks.language.evaluation import TextEvaluation, evaluate_text
from gatewise.tasks.language.fitted import Scored
from gatewise.tasks.language.fitting import FitResult, fit_language_model
from gatewise.tasks.language.heads import AdaptiveHead, FullHead
from gatewise.tasks.language.ngrams import NGramModel
from gatewise.tasks.language.options import Options
from gatewise.tasks.language.prepared import prepared_network
from gatewise.tasks.language.writes import Writes
from gatewise.train import TrainConfig
from gatewise.train.placement import Placement

__all__ = ["LanguageModel"]

# As in the paper's section 5 and in the settings that its authors published for the Penn Treebank.
AWD_LSTM: dict[str, Any] = {
    "level": "word", "hidden_size": 1150, "num_layers": 3, "embedding_size": 400, "tie_weights": True,
    "output": "full", "dropout": 0.4, "input_dropout": 0.4, "hidden_dropout": 0.25, "embedding_dropout": 0.1,
    "weight_drop": 0.5, "activation": 2.0, "slowness": 1.0, "optimizer": "asgd", "learning_rate": 30.0,
    "weight_decay": 1.2e-6, "gradient_clip": 0.25, "batch_size": 20, "window": 70, "variable_windows": True,
    "min_count": 1, "max_epochs": 500, "patience": None,
}  # fmt: skip


class LanguageModel(Writes, Estimator):
    """Learn the next token of a text: a word, a subword or a character.

    A recurrent network of any cell reads the text as parallel streams, window by window; its state goes on from one
    window to the next. The last part of the text, or a validation text, is held back to stop early.

    Where a parameter is None, the level decides: words are regularised far more than characters.

    Args:
        level: "word", "subword" (byte-level BPE; needs the extra `text`) or "character".
        cell: name of a registered cell, or a cell of your own (see `gatewise.cells.names()`).
        hidden_size: units of a recurrent layer, at least 1.
        num_layers: recurrent layers, at least 1.
        embedding_size: numbers that stand for a token; None: `hidden_size` where weights are tied, else at most 128.
        tie_weights: whether the output layer's weights are the embedding's (Inan et al. 2017; Press & Wolf 2017); the
            last layer then has `embedding_size` units.
        output: "full"; "adaptive", the adaptive softmax of large vocabularies (Grave et al. 2017), never tied; "auto":
            adaptive for more than 50,000 tokens.
        mogrifier: rounds in which input and state gate each other before each step of an LSTM (Melis et al. 2020); 0:
            none.
        dropout, input_dropout, hidden_dropout: of the last layer's output, of the embedded input and between layers,
            one mask for all steps of a window (Gal & Ghahramani 2016), 0 to 1 (exclusive).
        embedding_dropout: of whole tokens of the vocabulary, 0 to 1 (exclusive).
        weight_drop: of the recurrent matrices (Merity et al. 2018), 0 to 1 (exclusive).
        activation, slowness: what the last layer's mean square and that of its changes from step to step weigh in the
            loss (Merity et al. 2018: AR and TAR), at least 0.
        optimizer: "adamw", with a cosine schedule and averaged weights; "asgd": plain SGD, averaged from where
            validation stops improving (NT-ASGD; Merity et al. 2018).
        learning_rate: the schedule's peak; None: 0.003 for "adamw", 30 for "asgd".
        weight_decay: at least 0.
        gradient_clip: the gradient's largest norm, or None.
        batch_size: streams side by side, at least 1; a short text has fewer.
        window: steps that are differentiated together, at least 1.
        variable_windows: whether lengths are drawn around `window` (Merity et al. 2018).
        min_count: rarer words are unknown words; rarer pairs are not merged to subwords.
        vocabulary_size: the most tokens; None: no limit (4,000 for subwords).
        lowercase: whether letters are made small.
        split: how words are found: "whitespace" or "simple" (signs apart).
        unseen: what a word or character is that was not seen in training: "unknown", one token for all of them, or an
            "error"; "auto": unknown for words, an error for characters. Subwords can write everything.
        validation_fraction: which share of the text is held back, above 0 and below 1.
        max_epochs: the most passes over the text, at least 1.
        patience: end when the held-back loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes, hidden state included; or
            None.

    Attributes:
        history_: one dict per epoch, with training and validation loss in nats per token.
        best_epoch_: the epoch whose weights were kept.
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        validation_: what was held back, in words.
        vocabulary_: the tokens, by number, with their counts in the training text.
        fitted_: the fitted model itself.

    Example:
        >>> text = "the cat sat on the mat\\nthe dog sat on the log\\n" * 40
        >>> model = LanguageModel(
        ...     level="word",
        ...     hidden_size=16,
        ...     num_layers=1,
        ...     max_epochs=8,
        ...     batch_size=4,
        ...     random_state=0,
        ...     progress=False,
        ... )
        >>> model.fit(text).perplexity("the dog sat on the mat\\n") < len(model.vocabulary_)
        True
        >>> isinstance(model.generate("the cat", max_tokens=5, random_state=0), str)
        True

    References:
        Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM language models"; Melis, Kočiský & Blunsom 2020,
        "Mogrifier LSTM".
    """

    @no_type_check
    def __init__(
        self,
        level: str = "word",
        cell: Any = "lstm",
        hidden_size: int = 256,
        num_layers: int = 2,
        embedding_size: int | None = None,
        tie_weights: bool | None = None,
        output: str = "auto",
        mogrifier: int = 0,
        dropout: float | None = None,
        input_dropout: float | None = None,
        hidden_dropout: float | None = None,
        embedding_dropout: float | None = None,
        weight_drop: float | None = None,
        activation: float | None = None,
        slowness: float | None = None,
        optimizer: str = "adamw",
        learning_rate: float | None = None,
        weight_decay: float = 1e-6,
        gradient_clip: float | None = 0.5,
        batch_size: int = 32,
        window: int | None = None,
        variable_windows: bool = True,
        min_count: int | None = None,
        vocabulary_size: int | None = None,
        lowercase: bool = False,
        split: str = "whitespace",
        unseen: str = "auto",
        validation_fraction: float = 0.05,
        max_epochs: int = 20,
        patience: int | None = 5,
        max_time: float | None = None,
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "auto",
        engine: str = "auto",
        progress: bool = True,
        checkpoint_folder: Any = None,
    ) -> None:
        self.level = level
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.embedding_size = embedding_size
        self.tie_weights = tie_weights
        self.output = output
        self.mogrifier = mogrifier
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.hidden_dropout = hidden_dropout
        self.embedding_dropout = embedding_dropout
        self.weight_drop = weight_drop
        self.activation = activation
        self.slowness = slowness
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.window = window
        self.variable_windows = variable_windows
        self.min_count = min_count
        self.vocabulary_size = vocabulary_size
        self.lowercase = lowercase
        self.split = split
        self.unseen = unseen
        self.validation_fraction = validation_fraction
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_time = max_time
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.engine = engine
        self.progress = progress
        self.checkpoint_folder = checkpoint_folder

    @classmethod
    @no_type_check
    def awd_lstm(cls, **changes: Any) -> Self:
        """The settings of Merity, Keskar & Socher (2018) for the words of the Penn Treebank, but for the changes.

        Three layers of 1,150 units, tied embeddings of 400, five kinds of dropout, activation penalties, windows around
        70 steps, plain SGD with NT-ASGD for 500 epochs: meant for an accelerator.

        Args:
            **changes: parameters that are to be others.

        Example:
            >>> LanguageModel.awd_lstm(max_epochs=3).hidden_size
            1150
        """
        return cls(**{**AWD_LSTM, **changes})

    @no_type_check
    def fit(self, X: Any, y: Any = None, *, validation: Any = None) -> Self:
        """Learn from a text.

        Args:
            X: a text, a list of texts, or the `pathlib.Path` of a UTF-8 file.
            y: not used; here by scikit-learn's convention.
            validation: a text, texts or a path to hold back, in place of the last part of `X`.

        Returns:
            This model.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: the text cannot be used, or there is too little of it.
        """
        options = Options.from_estimator(self._plain(), self._seed())
        held = None if validation is None else _opened(validation)
        self._remember(fit_language_model(_opened(X), held, options))
        return self

    @no_type_check
    def log_probabilities(
        self, X: Any, *, dynamic: Any = None, statistics: Any = None
    ) -> NDArray[np.float64]:
        """The natural logarithm of each token's probability, given all before it; the text is one stream.

        Args:
            X: as in `fit`.
            dynamic: a `Dynamic`, or True for its defaults: the model goes on learning from what it has told (Krause et
                al. 2018), and is afterwards what it was. It takes as long as training on the text.
            statistics: with `dynamic`, the text that it was fitted to, which scales the steps; None: plain steps.

        Returns:
            (tokens,): what sums to the logarithm of the text's probability.
        """
        return self._scored(X, dynamic, statistics).logs

    @no_type_check
    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-likelihood of a token, in nats; higher is better."""
        return float(self._scored(X).logs.mean())

    @no_type_check
    def perplexity(self, X: Any, *, dynamic: Any = None, statistics: Any = None) -> float:
        """The exponential of minus the mean log-likelihood of a text's tokens, every one counted, line ends too.

        Args:
            X, dynamic, statistics: as in `log_probabilities`.
        """
        return self._scored(X, dynamic, statistics).perplexity

    @no_type_check
    def bits_per_character(self, X: Any, *, dynamic: Any = None, statistics: Any = None) -> float:
        """Bits that the model needs for a text, by its characters; levels can be compared by it.

        With words it is about the text in which unknown words are one sign, so that it is comparable only where there
        are none.

        Args:
            X, dynamic, statistics: as in `log_probabilities`.
        """
        return self._scored(X, dynamic, statistics).bits_per_character

    @no_type_check
    def evaluate(self, X: Any, *, dynamic: Any = None, statistics: Any = None) -> TextEvaluation:
        """Test on a text that the model was not fitted to, beside its unigrams and n-grams on the same tokens.

        Args:
            X: as in `fit`.
            dynamic, statistics: as in `log_probabilities`, for a row of their own.

        Returns:
            Perplexities, bits per character, the most surprising tokens, and a verdict in words; print it for a table.
        """
        self._require_fitted("fitted_")
        how, told = self._dynamic(dynamic, statistics)
        return evaluate_text(self.fitted_, _opened(X), self.baseline(), how, told)

    def baseline(self) -> NGramModel | None:
        """The n-grams of the training text, from memory or from the folder that the model was loaded from, or None."""
        self._require_fitted("fitted_")
        if isinstance(self._ngrams, Path):
            from gatewise.tasks.language.persistence import load_baseline

            self._ngrams = load_baseline(self._ngrams, self.fitted_)
        return self._ngrams

    @no_type_check
    def to(self, device: Any) -> Self:
        """Move the fitted network to a device: "auto", or a torch device's name.

        Raises:
            ArgumentError: the device is not there.
        """
        self._require_fitted("fitted_")
        self.fitted_.network.to(Placement(TrainConfig(device=device, precision="float32")).device)
        return self

    @no_type_check
    def prepare(self, weights: str = "float32") -> Self:
        """A copy that writes and tells faster: its matrices, the output layer's too, are packed once.

        Args:
            weights: "float32", or fewer bits: "bfloat16" (half the memory) or "int8" (a quarter, rounded); see
                `gatewise.nn.prepare`.

        Returns:
            A copy on the CPU that cannot be fitted further or saved; the model stays as it is.

        Raises:
            ArgumentError: an unknown format, or a model on another device.
            EngineError: the native library is not installed; it says why.
        """
        self._require_fitted("fitted_")
        made = copy.copy(self)
        made.fitted_ = replace(self.fitted_, network=prepared_network(self.fitted_.network, weights))
        return made

    @no_type_check
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save into a folder: config.json (with the vocabulary), model.safetensors, card.md.

        Args:
            path: the folder; made if need be.

        Raises:
            ArgumentError: it is a copy that `prepare` made.
            StoreError: it cannot be written.
        """
        self._require_fitted("fitted_")
        if not isinstance(self.fitted_.network.head, FullHead | AdaptiveHead):
            raise ArgumentError(
                "save: this is a copy that prepare() made, of rounded weights; save the original"
            )
        super().save(path)

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.language.persistence import load_language_model, save_language_model

        return save_language_model, load_language_model

    def _scored(self, X: Any, dynamic: Any = None, statistics: Any = None) -> Scored:
        self._require_fitted("fitted_")
        return self.fitted_.scored(_opened(X), *self._dynamic(dynamic, statistics))

    def _dynamic(self, dynamic: Any, statistics: Any) -> tuple[Dynamic | None, Any]:
        """What was said of dynamic evaluation, checked."""
        if not dynamic:
            if statistics is not None:
                raise ArgumentError(
                    "statistics: they scale the steps of dynamic evaluation; say dynamic=True too"
                )
            return None, None
        how = Dynamic() if dynamic is True else dynamic
        if not isinstance(how, Dynamic):
            raise ArgumentTypeError(f"dynamic: True or a Dynamic is expected, came {type(dynamic).__name__}")
        return how, None if statistics is None else _opened(statistics)

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)
        self.vocabulary_ = result.fitted.tokenizer.vocabulary
        self._ngrams: NGramModel | Path | None = result.ngrams


def _opened(texts: Any) -> Any:
    """A text, texts, or what is in a file."""
    return read_text(texts) if isinstance(texts, Path) else texts
