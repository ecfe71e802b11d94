"""What `gatewise fit lm` and `generate` do, and what `evaluate` does with a language model's folder."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewise.cli.console import say
from gatewise.cli.frame import (
    described,
    print_scores,
    print_written,
    training_numbers,
    write_metrics,
    write_numbers,
)
from gatewise.cli.run_folder import RunFolder
from gatewise.data.text import read_text
from gatewise.errors import ArgumentError
from gatewise.report.pictures import picture_png
from gatewise.store import atomic_write
from gatewise.tasks import LanguageModel
from gatewise.tasks.language import figures
from gatewise.tasks.language.card import TextNotes
from gatewise.tasks.language.evaluation import TextEvaluation
from gatewise.tasks.language.fitting import split_text
from gatewise.tasks.language.persistence import save_language_model
from gatewise.tasks.language.report import report_html

__all__ = ["TextFiles", "evaluate_language_model", "fit_language", "write_text"]

_SAMPLE_TOKENS = {"word": 120, "subword": 160, "character": 500}


@dataclass(frozen=True)
class TextFiles:
    """Which files hold which text; None: a part that is cut off `text`."""

    text: str
    validation: str | None
    test: str | None
    test_share: float


def fit_language(
    files: TextFiles, out: Path, parameters: dict[str, Any], *, recipe: str | None, overwrite: bool
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early.

    Args:
        files: the texts.
        out: the folder to write.
        parameters: of the `LanguageModel`.
        recipe: "awd-lstm" or None: what the parameters that are not given are.
        overwrite: whether to replace what is in the folder.
    """
    begun = time.perf_counter()
    model = _model(parameters, recipe)
    text = read_text(files.text)
    if files.test is None:
        if not 0 < files.test_share < 1:
            raise ArgumentError(f"--test-share: above 0 and below 1 is expected, came {files.test_share}")
        text, test = split_text(text, files.test_share)
        words = f"the last {len(test):,} characters of {Path(files.text).name}, cut off before fitting"
    else:
        test = read_text(files.test)
        words = f"{Path(files.test).name}, {len(test):,} characters"
    held = None if files.validation is None else read_text(files.validation)
    settings = {**dataclasses.asdict(files), "recipe": recipe, **described(model)}
    run = RunFolder(out, settings)
    run.open(overwrite=overwrite)
    model.set_params(checkpoint_folder=run.checkpoints)
    say(f"{Path(files.text).name}; fitted to {len(text):,} characters, tested on {words}")
    with run.training():
        model.fit(text, validation=held)
    notes = TextNotes(
        data=f"{Path(files.text).name}, {len(text):,} characters",
        trained_on=f"{len(text):,} characters; the text that gave the test figures is not among them",
        tested_on=words,
    )
    _finish(model, test, notes, out, begun)
    return run.end(model.stopped_)


def write_text(model: Path, prompt: str, *, device: str, beams: int, **options: Any) -> None:
    """Write on after a prompt, to standard output, as the tokens come."""
    if prompt == "-":
        prompt = sys.stdin.read()
    loaded = _loaded(model, device)
    sys.stdout.write(prompt)
    sys.stdout.flush()
    pieces = (
        [loaded.generate(prompt, beams=beams, **options)] if beams != 1 else loaded.stream(prompt, **options)
    )
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def evaluate_language_model(model: Path, data: str, out: Path | None) -> None:
    """Test on a text file, and print what came out."""
    evaluation = _loaded(model).evaluate(read_text(data))
    print_text(evaluation)
    write_numbers(evaluation, out)


def print_text(evaluation: TextEvaluation) -> None:
    """The table of figures and the verdict."""
    unknown = f", {evaluation.unknown:,} of them unknown to the vocabulary" if evaluation.unknown else ""
    head = f"{evaluation.tokens:,} tokens, {evaluation.characters:,} characters{unknown}"
    print_scores(head, evaluation, good=evaluation.beats_trivial)


def _model(parameters: dict[str, Any], recipe: str | None) -> LanguageModel:
    if recipe is None:
        return LanguageModel(**parameters)
    if recipe != "awd-lstm":
        raise ArgumentError(
            f"--recipe: 'awd-lstm' is expected, came {recipe!r}; leave it out for the usual settings"
        )
    return LanguageModel.awd_lstm(**parameters)


def _loaded(model: Path, device: str = "auto") -> LanguageModel:
    return LanguageModel.load(model).to(device)


def _finish(model: LanguageModel, test: str, notes: TextNotes, out: Path, begun: float) -> None:
    """Test, and write model, report and numbers."""
    evaluation = model.evaluate(test)
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_language_model(model, out, notes)
    samples = _samples(model, test)
    seconds = time.perf_counter() - begun
    write_metrics(out, evaluation, seconds, **training_numbers(model))
    page = report_html(model, notes, samples=samples, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(
        out / "perplexity.png", picture_png(figures.plot_training(model.history_, model.best_epoch_))
    )
    atomic_write(out / "samples.txt", "\n\n".join(f"[{how}]\n{text}" for how, text in samples).encode())
    print_text(evaluation)
    print_written(
        out, begun,
        ("samples.txt", "what the model writes"),
        ("perplexity.png", "perplexity over the epochs"),
        model="the model, its vocabulary in config.json",
        beside=[("baseline.safetensors", "the n-grams that gatewise evaluate compares with")],
    )  # fmt: skip


def _samples(model: LanguageModel, test: str) -> list[tuple[str, str]]:
    """What the model writes, at a few temperatures, and after the test's first line."""
    most = _SAMPLE_TOKENS[model.level]
    first = test.split("\n", 1)[0][:200]
    found = [
        (f"temperature {value:g}", model.generate("", max_tokens=most, temperature=value))
        for value in (1.0, 0.7, 0.4)
    ]
    if first.strip():
        text = first + model.generate(first, max_tokens=most, temperature=0.7)
        found.append((f"temperature 0.7, after the first line of the test: {first!r}", text))
    return found
