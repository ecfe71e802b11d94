"""`gatewise inspect` on a model folder of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatewise.cli.inspect import READS
from gatewise.data.text.columns import write_columns
from gatewise.tasks import LanguageModel, SequenceClassifier, SequenceTagger, TextClassifier
from gatewise.tasks.recipes import RecordDetector
from tests.cli.calling import call
from tests.tasks import series
from tests.tasks.anomaly import waves as anomalies
from tests.tasks.classify import waves as classes
from tests.tasks.language import corpus
from tests.tasks.seq2seq import languages
from tests.tasks.tagging.sentences import sentences
from tests.tasks.text_classification.films import films

TINY = {"hidden_size": 8, "max_epochs": 1, "random_state": 0, "progress": False}
Made = tuple[object, str, list[str]]


def forecaster(place: Path) -> Made:
    table = series.hourly(120)
    table.to_csv(place / "data.csv", index=False)
    return series.small().fit(table), "data.csv", []


def anomaly_detector(place: Path) -> Made:
    table = anomalies.table(120)
    table.rename(columns={"timestamp": "when"}).to_csv(place / "data.csv", index=False)
    return anomalies.small().fit(table), "data.csv", ["--time", "when"]


def classifier(place: Path) -> Made:
    table = classes.table(20)
    table.drop(columns="kind").to_csv(place / "data.csv", index=False)
    model = classes.small(id_column="sensor", time_column="clock", label_column="kind").fit(table)
    return model, "data.csv", ["--id", "sensor", "--time", "clock"]


def record_detector(place: Path) -> Made:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({
        "host": generator.integers(12, size=240), "at": np.arange(240), "bytes": generator.normal(size=240),
        "label": generator.choice(["normal", "bad"], 240, p=[0.8, 0.2]),
    })  # fmt: skip
    table.to_csv(place / "data.csv", index=False)
    model = RecordDetector(
        SequenceClassifier(output="step", **TINY), entity_column="host", time_column="at", window=8
    )
    return model.fit(table), "data.csv", []


def language_model(place: Path) -> Made:
    text = corpus.text(60)
    (place / "data.txt").write_text(text)
    return LanguageModel(level="character", num_layers=2, **TINY).fit(text), "data.txt", []


def tagger(place: Path) -> Made:
    some = sentences(20)
    (place / "data.conll").write_text(write_columns(some))
    return SequenceTagger(word_size=8, character_size=8, **TINY).fit(some), "data.conll", []


def text_classifier(place: Path) -> Made:
    texts, labels = films(30)
    pd.DataFrame({"review": texts}).to_csv(place / "data.csv", index=False)
    return TextClassifier(word_size=8, **TINY).fit(texts, labels), "data.csv", ["--text", "review"]


def translator(place: Path) -> Made:
    texts = languages.sentences(40)
    (place / "data.txt").write_text("\n".join(texts) + "\n")
    model = languages.translator(hidden_size=8, max_epochs=1, feeding="none", attention="general")
    return model.fit(texts, languages.replaced(texts)), "data.txt", []


def summarizer(place: Path) -> Made:
    texts = languages.sentences(40)
    (place / "data.txt").write_text("\n".join(texts) + "\n")
    model = languages.summarizer(hidden_size=8, max_epochs=1)
    return model.fit(texts, [one.split()[0] for one in texts]), "data.txt", []


MAKERS: dict[str, Callable[[Path], Made]] = {
    "forecaster": forecaster, "anomaly-detector": anomaly_detector, "classifier": classifier,
    "record-detector": record_detector, "language-model": language_model, "tagger": tagger,
    "text-classifier": text_classifier, "translator": translator, "summarizer": summarizer,
}  # fmt: skip


def test_every_kind_is_here() -> None:
    assert set(MAKERS) == set(READS)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_model_of_every_kind(kind, tmp_path, monkeypatch, capsysbinary) -> None:
    model, data, options = MAKERS[kind](tmp_path)
    model.save(tmp_path / "model")
    capsysbinary.readouterr()
    command = ("inspect", tmp_path / "model", "--data", tmp_path / data, "--out", tmp_path / "out", *options)
    assert call(monkeypatch, *command, "--format", "json") == 0
    printed = json.loads(capsysbinary.readouterr().out)
    written = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert written == printed
    assert kind.replace("-", " ") in written["model"] or kind == "record-detector"
    layers = written["statistics"]["layers"]
    assert layers
    assert all(layer["steps"] > 0 for layer in layers)
    assert written["gradient_flow"] or written["unmeasured"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    for words in ("Findings", "Gates, states and memory", layers[0]["name"], written["verdict"]):
        assert words in page, words
    # One sequence is shown along its own labels, whatever the kind.
    assert "Along one sequence" in page
    assert written["contributions"]["complete"], written["contributions"]
