"""Units that tell a feature: a planted one is found, an absent one is not claimed, figures are plain statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from gatewise import nn
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.inspect import Activations, activations, find_units, number_features, record, text_features

TEXT = ('She said: "Come in, (if you) must!" and\nwent.\n\nFIRST LORD:\nWhy 12.5 of them?\n' * 40)[:2400]


def counter() -> nn.Recurrent:
    """An RNN whose unit 3 is 1 inside quotes: a flip-flop that a quotation mark turns over, planted by hand.

    Inputs: whether a mark opens, whether one closes, noise.
    """
    model = nn.RNN(3, 6).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.uniform_(-0.4, 0.4, generator=torch.Generator().manual_seed(0))
        model.weight_hh_l0[3] = 0
        model.weight_hh_l0[3, 3] = 3.0
        model.weight_ih_l0[3] = torch.tensor([20.0, -20.0, 0.0])
        model.bias_ih_l0[3] = model.bias_hh_l0[3] = 0
    return model


def quoted() -> torch.Tensor:
    inside = text_features(TEXT)["inside quotes"]
    opens = inside & ~np.roll(inside, 1)
    closes = ~inside & np.roll(inside, 1)
    noise = np.random.default_rng(0).normal(size=len(TEXT))
    return torch.tensor(np.stack([opens, closes, noise], 1), dtype=torch.float32)[:, None]


def test_a_planted_unit_is_found() -> None:
    model = counter()
    with record(model) as recording:
        for part in quoted().split(700):
            model(part)
    units = activations(recording.traces)
    assert units.values.shape == (2400, 6)
    found = find_units(units, text_features(TEXT), inputs=list(TEXT))
    one = next(one for one in found if one.feature == "inside quotes")
    assert one.unit == "RNN, state h, unit 3"
    assert one.measure == "AUC"
    assert one.score > 0.97  # but for calls that begin inside quotes
    assert one.holds
    assert one.score > one.baseline > 0.5
    assert "held-out AUC" in str(one)
    assert one.to_dict()["unit"] == one.unit


def test_figures_are_plain_statistics_of_the_second_half() -> None:
    generator = np.random.default_rng(0)
    feature, number = generator.random(1001) < 0.3, generator.normal(size=1001)
    values = generator.normal(size=(1001, 4)).round(1)  # with ties
    values[:, 2] -= 1.5 * feature
    values[:, 1] += number
    found = {
        one.feature: one
        for one in find_units(Activations(values, tuple("abcd")), {"is": feature, "size": number})
    }
    assert (found["is"].unit, found["is"].sign) == ("c", -1)
    assert found["is"].score == pytest.approx(roc_auc_score(feature[500:], -values[500:, 2]), abs=1e-12)
    assert found["is"].chosen_by == pytest.approx(roc_auc_score(feature[:500], -values[:500, 2]), abs=1e-12)
    assert found["size"].score == pytest.approx(np.corrcoef(number[500:], values[500:, 1])[0, 1], abs=1e-12)
    assert found["size"].r_squared == found["size"].score ** 2


def test_chance_is_not_claimed() -> None:
    """Slow units against a slow feature: without the shifts in time their long runs would look like something."""
    claims = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        values = np.cumsum(generator.normal(size=(1200, 50)), axis=0)
        feature = np.cumsum(generator.normal(size=1200)) > 0
        found = find_units(Activations(values, tuple(map(str, range(50)))), {"slow": feature}, shifts=199)
        claims += sum(one.holds for one in found)
    # 5 % of 20 is 1; more than 4 come once in 400 times by chance.
    assert claims <= 4


def test_many_features_are_corrected_for() -> None:
    generator = np.random.default_rng(0)
    feature = generator.random(600) < 0.5
    values = generator.normal(size=(600, 2)) + np.outer(feature, [3, 0])
    units = Activations(values, ("a", "b"))
    alone = find_units(units, {"real": feature}, shifts=99)[0]
    others = {f"noise {number}": generator.random(600) < 0.5 for number in range(9)}
    among = next(
        one for one in find_units(units, {"real": feature, **others}, shifts=99) if one.feature == "real"
    )
    assert alone.p_value == pytest.approx(0.01)
    assert among.p_value == pytest.approx(0.1)


def test_features_of_a_text() -> None:
    text = 'A (b) "c"\nde 1\n'
    found = text_features(text)
    rows = {
        name: "".join("x" if one else "." for one in found[name])
        for name in found
        if found[name].dtype == bool
    }
    assert rows["inside brackets"] == "..xx..........."
    assert rows["inside quotes"] == "......xx......."
    assert rows["inside a number"] == ".............x."
    assert found["position in the line"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 0]
    assert found["position in the word"].tolist()[:4] == [1, 0, 1, 2]
    # Tokens are read at their ends: the same numbers as the characters have there.
    pieces = ["A", " (b)", ' "c"', "\n", "de", " 1\n"]
    ends = np.cumsum([len(one) for one in pieces]) - 1
    for name, values in text_features(pieces).items():
        np.testing.assert_array_equal(values, found[name][ends])
    speaker = text_features("FIRST LORD:\nHello there: you.\n")["inside a speaker's name"]
    assert speaker.sum() == len("FIRST LORD:")
    assert list(number_features(np.array([[1.0, 5.0], [2.0, 5.0]]))) == [
        "input 1",
        "change of input 1",
        "step",
    ]


def test_bad_input() -> None:
    units = Activations(np.zeros((200, 2)), ("a", "b"))
    with pytest.raises(ShapeError, match=r"features\['x'\]: \(200,\)"):
        find_units(units, {"x": np.zeros(3)})
    with pytest.raises(ArgumentTypeError, match="truth values or numbers"):
        find_units(units, {"x": np.array(["a"] * 200)})
    with pytest.raises(ArgumentError, match="finite numbers"):
        find_units(units, {"x": np.full(200, np.nan)})
    with pytest.raises(ShapeError, match="inputs: as many as steps"):
        find_units(units, {}, inputs=["a"])
    with pytest.raises(ArgumentError, match="at least 100 steps"):
        find_units(Activations(np.zeros((9, 1)), ("a",)), {})
    with pytest.raises(ArgumentError, match="one of 'inside quotes'"):
        text_features("abc", ["colour"])
    with pytest.raises(ArgumentTypeError, match="a text or a list of texts"):
        text_features(7)
    with pytest.raises(ArgumentError, match="traces: at least one"):
        activations([])
    # A feature that is too rare in one half is left out, not guessed at.
    assert find_units(units, {"rare": np.arange(200) == 3}) == []
