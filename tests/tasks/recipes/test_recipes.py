"""The recipes: simulated transactions, alarms and their thresholds, connection records."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gatewise.errors import ArgumentError, DataError, StoreError
from gatewise.store import load_model, save_model
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.recipes import (
    RecordDetector,
    fraud_detector,
    intrusion_detector,
    load_credit_card,
    load_nsl_kdd,
    simulate_transactions,
    window_features,
    with_seen_before,
)
from gatewise.tasks.recipes.evaluation import NEVER
from gatewise.tasks.recipes.thresholds import best_f1_threshold, costs, false_alarm_threshold
from gatewise.tasks.recipes.transactions import KINDS


def quick(**settings) -> SequenceClassifier:
    defaults = {"output": "step", "hidden_size": 8, "max_epochs": 1, "progress": False, "device": "cpu"}
    return SequenceClassifier(**{**defaults, **settings})


def logins(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Hosts whose third failed login in a row is an attack: only the history tells."""
    generator = np.random.default_rng(seed)
    host = np.sort(generator.integers(rows // 20, size=rows))
    failed = generator.random(rows) < 0.45
    attack = [
        row >= 2 and host[row] == host[row - 1] == host[row - 2] and failed[row - 2 : row + 1].all()
        for row in range(rows)
    ]
    kind = np.where(attack, np.where(host % 2, "guessing", "spraying"), "normal")
    return pd.DataFrame(
        {
            "host": host.astype(str),
            "at": np.arange(rows),
            "outcome": np.where(failed, "no", "yes"),
            "label": kind,
        }
    )


@pytest.fixture(scope="module")
def transactions() -> pa.Table:
    return simulate_transactions(cards=60, days=20, fraud_per_card=1.5, random_state=0)


@pytest.fixture(scope="module")
def detector() -> RecordDetector:
    model = quick(max_epochs=8, hidden_size=12, learning_rate=2e-2, patience=None)
    found = RecordDetector(
        model, entity_column="host", time_column="at", window=10, rule="f1", random_state=0
    )
    return found.fit(logins(1200))


def test_transactions_are_said_to_be_synthetic(transactions) -> None:
    assert all(transactions.column("synthetic").to_pylist())
    assert "SYNTHETIC" in (simulate_transactions.__doc__ or "")
    assert set(transactions.column("label").to_pylist()) == {"normal", *KINDS}
    assert np.all(np.diff(transactions.column("time").to_numpy()) >= np.timedelta64(0))
    amounts = transactions.column("amount").to_numpy()
    assert amounts.min() >= 0.5
    assert np.isfinite(amounts).all()
    assert simulate_transactions(cards=60, days=20, fraud_per_card=1.5, random_state=0).equals(transactions)
    assert not simulate_transactions(cards=60, days=20, fraud_per_card=1.5, random_state=1).equals(
        transactions
    )
    honest = simulate_transactions(cards=10, days=5, fraud_per_card=0, random_state=0)
    assert set(honest.column("label").to_pylist()) == {"normal"}
    for wrong in ({"cards": 0}, {"days": 1}, {"fraud_per_card": -1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            simulate_transactions(**wrong)


def test_the_kinds_of_fraud_are_what_they_are_said_to_be(transactions) -> None:
    table = transactions.to_pandas()
    usual = table[table["label"] == "normal"]
    testing = table[table["label"] == "card testing"]
    assert (testing["entry"] == "online").all()
    assert testing["amount"].median() < usual["amount"].median()
    assert (table[table["label"] == "account takeover"]["hour"] < 6.1).all()
    assert (table[table["label"] == "stolen card"]["entry"] == "chip").all()


def test_window_features_look_back_only(transactions) -> None:
    features, known = window_features(transactions)
    rows = np.arange(transactions.num_rows)
    early = rows < 700
    again, _ = window_features(transactions.filter(pa.array(early)), known=known)
    np.testing.assert_array_equal(features[early], again)
    table = transactions.to_pandas()
    row = 650
    past = table.iloc[: row + 1]
    own = past[past["card"] == table["card"][row]]
    recent = own[own["time"] > table["time"][row] - pd.Timedelta(days=1)]
    assert any(np.allclose(features[row, i], len(recent)) for i in range(features.shape[1]))
    assert any(np.allclose(features[row, i], recent["amount"].sum()) for i in range(features.shape[1]))
    seen = with_seen_before(transactions).column("merchant_seen").to_numpy()
    assert seen[row] == float(table["merchant"][row] in own["merchant"].to_numpy()[:-1])


def test_only_the_past_of_the_same_entity_counts(detector) -> None:
    table = logins(200, seed=1)
    before = detector.predict_proba(table)
    host = table["host"][100]
    others = table.assign(outcome=lambda f: np.where(f["host"] != host, "no", f["outcome"]))
    mine = (table["host"] == host).to_numpy()
    np.testing.assert_allclose(detector.predict_proba(others)[mine], before[mine], atol=1e-5)
    later = table.assign(outcome=lambda f: np.where(np.arange(200) > 100, "no", f["outcome"]))
    np.testing.assert_allclose(detector.predict_proba(later)[:101], before[:101], atol=1e-5)
    shuffled = table.sample(frac=1, random_state=0)
    np.testing.assert_allclose(detector.predict_proba(shuffled), before[shuffled.index], atol=1e-5)


def test_what_only_the_history_tells_is_found(detector) -> None:
    evaluation = detector.evaluate(logins(600, seed=2), at=(10,))
    own = evaluation.scores["lstm"]
    assert own.average_precision > 0.8
    assert own.precision_at[10] > 0.8
    assert own.cost < evaluation.scores[NEVER].cost
    assert "is worth it" in evaluation.verdict
    assert set(evaluation.by_kind) == {"guessing", "spraying"}
    assert evaluation.recall_of(known=False) is None
    worse = evaluation.beside("coin", np.random.default_rng(0).random(600), np.zeros(600, bool))
    assert "better at ranking" in worse.verdict
    assert "coin" in str(worse)
    assert worse.to_dict()["scores"]["coin"]["recall"] == 0


def test_record_by_record_equals_the_table(detector) -> None:
    table = logins(150, seed=5)
    expected = detector.predict_proba(table)
    stream = detector.stream()
    found = [
        stream.push({"outcome": row.outcome}, entity=row.host, time=float(row.at))
        for row in table.itertuples()
    ]
    # float32 through at most 10 steps of products over at most 20 numbers.
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert len(stream) == table["host"].nunique()
    stream.forget(table["host"][0])
    assert len(stream) == table["host"].nunique() - 1
    with pytest.raises(DataError, match="say whose this one is"):
        stream.push({"outcome": "no"}, time=0.0)


def test_what_is_said_does_not_change_when_more_comes(detector) -> None:
    table = logins(150, seed=6)
    order = table.groupby("host").cumcount().to_numpy()
    early = order < 13
    np.testing.assert_allclose(
        detector.predict_proba(table[early]), detector.predict_proba(table)[early], atol=1e-5
    )


def test_kinds_can_be_held_back() -> None:
    found = RecordDetector(
        quick(),
        entity_column="host",
        window=10,
        rule="half",
        held_back="kinds",
        validation_fraction=0.5,
        random_state=0,
    ).fit(logins())
    assert len(found.kinds_) == 1
    evaluation = found.evaluate(logins(seed=3))
    assert {row["known"] for row in evaluation.by_kind.values()} == {True, False}
    assert evaluation.recall_of(known=False) is not None


def test_thresholds() -> None:
    generator = np.random.default_rng(0)
    bad = generator.random(5000) < 0.1
    scores = np.clip(0.3 * bad + 0.5 * generator.random(5000), 0, 1)
    threshold = false_alarm_threshold(scores, bad, 0.02)
    assert (scores[~bad] > threshold).mean() <= 0.02
    assert (scores[~bad] > threshold - 1e-3).mean() > 0.015
    best = best_f1_threshold(scores, bad)

    def f1(at):
        alarms = scores > at
        return 2 * (alarms & bad).sum() / (alarms.sum() + bad.sum())

    assert f1(best) >= max(f1(at) for at in np.linspace(0, 1, 101))
    loss = np.full(5000, 7.0)
    assert costs(np.zeros(5000, bool), bad, loss, 1.0) == 7.0 * bad.sum()
    assert costs(bad, bad, loss, 1.0) == bad.sum()
    for rule in (false_alarm_threshold, best_f1_threshold):
        with pytest.raises(DataError, match="held back"):
            rule(
                *(scores, np.ones(5000, bool), 0.1)
                if rule is false_alarm_threshold
                else (scores, ~np.ones(5000, bool))
            )


def test_dear_records_raise_an_alarm_sooner(transactions) -> None:
    found = fraud_detector(hidden_size=4, max_epochs=1, progress=False, random_state=0).fit(transactions)
    assert found.threshold_ is None
    probabilities, amounts = found.predict_proba(transactions), transactions.column("amount").to_numpy()
    np.testing.assert_array_equal(found.predict(transactions), probabilities * amounts > 10.0)


def test_a_loaded_detector_says_the_same(detector, tmp_path) -> None:
    table = logins(100, seed=4)
    detector.save(tmp_path / "model")
    loaded = RecordDetector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(table), detector.predict_proba(table))
    assert loaded.evaluate(table).to_dict() == detector.evaluate(table).to_dict()
    assert "RecordDetector" in (tmp_path / "model" / "card.md").read_text()
    stored = load_model(tmp_path / "model")
    config = {**stored.config, "detector": {}}
    save_model(tmp_path / "model", kind=stored.kind, config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError, match="detector"):
        RecordDetector.load(tmp_path / "model")


def test_bad_input() -> None:
    table = logins(100)
    for parameters, words in (
        ({"rule": "always"}, "rule: one of"),
        ({"window": 0}, "window: an integer"),
        ({"alarm_cost": -1}, "alarm_cost: a number above 0"),
        ({"miss_cost": 0}, "miss_cost: a number above 0"),
        ({"false_alarm_rate": 1}, "false_alarm_rate"),
        ({"held_back": "days"}, "held_back: one of"),
        ({"classifier": SequenceClassifier()}, 'output="step" is expected'),
        ({"label_column": "verdict"}, "no column 'verdict'"),
        ({"entity_column": "card"}, "no column 'card'"),
        ({"miss_cost": "outcome"}, "'outcome': finite costs"),
        ({"usual": "fine"}, "came only others"),
    ):
        found = RecordDetector(**{"classifier": quick(), "entity_column": "host", **parameters})
        with pytest.raises((ArgumentError, DataError), match=words):
            found.fit(table).predict(table)
    with pytest.raises(DataError, match="row 0 has no label"):
        RecordDetector(quick(), entity_column="host").fit(table.assign(label=None))
    with pytest.raises(DataError, match="a pandas, polars or pyarrow table"):
        RecordDetector(quick()).fit(np.zeros((3, 2)))
    with pytest.raises(DataError, match="came only 'normal'"):
        RecordDetector(quick(), entity_column="host").fit(table.assign(label="normal"))


def test_the_credit_card_file_is_the_user_s(tmp_path) -> None:
    with pytest.raises(DataError, match="does not bring this data set"):
        load_credit_card(tmp_path / "creditcard.csv")
    names = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"]
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(50, 31)), columns=names).assign(
        Time=range(50), Class=[0, 1] * 25
    )
    frame.to_csv(tmp_path / "creditcard.csv", index=False)
    table = load_credit_card(tmp_path / "creditcard.csv")
    assert table.column("label").to_pylist()[:2] == ["normal", "fraud"]
    assert table.column_names[:2] == ["time", "V1"]
    frame.drop(columns="V7").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DataError, match="is not the credit-card file"):
        load_credit_card(tmp_path / "other.csv")


def test_connection_records(tmp_path) -> None:
    (tmp_path / "field_names.csv").write_text(
        "duration,continuous\nprotocol_type,symbolic\nsrc_bytes,continuous\n"
    )
    generator = np.random.default_rng(0)
    kinds = generator.choice(["normal", "neptune", "satan", "smurf"], 200, p=[0.7, 0.1, 0.1, 0.1])
    lines = [
        f"{i % 7},{'tcp' if i % 2 else 'udp'},{100 if kind == 'normal' else 0},{kind},20"
        for i, kind in enumerate(kinds)
    ]
    (tmp_path / "KDDTrain+_20Percent.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    table = load_nsl_kdd(tmp_path, "train")
    assert table.column_names == ["duration", "protocol_type", "src_bytes", "label"]
    found = intrusion_detector(
        hidden_size=8, max_epochs=3, progress=False, random_state=0, batch_size=16
    ).fit(table)
    assert found.predict(table).shape == (200,)
    with pytest.raises(DataError, match="no file"):
        load_nsl_kdd(tmp_path, "test")
    with pytest.raises(DataError, match="part: one of"):
        load_nsl_kdd(tmp_path, "all")
