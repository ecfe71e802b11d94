"""The page as a file: whole, safe, and made for every cell; what is no cell or layer is refused in words."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from gatewise import cells, explorer, nn
from gatewise.errors import ArgumentError, ArgumentTypeError, GatewiseError
from gatewise.explorer.page import document
from gatewise.spec import Program
from gatewise.spec.printers import equations, equations_text
from gatewise.spec.transforms import prepared
from tests.explorer.oracle import own_cell


class Elements(HTMLParser):
    """Every element's tag and attributes, and the text of scripts, as a browser cuts them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and data.strip():
            self.texts.setdefault(self.elements[-1][0], []).append(data)


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_has_a_page_that_stands_alone(name: str) -> None:
    subject = explorer.of_cell(name)
    page = explorer.page(subject)
    found = Elements(page)
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert "url(" not in page
    loading = {"src", "href", "srcset", "data", "action", "poster"}
    assert not [(tag, has) for tag, has in found.elements if loading & set(has)]
    tags = [tag for tag, _ in found.elements]
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(tags)
    assert tags.count("script") == 2
    assert len(page) < 150_000
    assert "{{" not in page
    policy = next(has["content"] for tag, has in found.elements if has.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    data = json.loads(found.texts["script"][0])
    assert data == document(subject)
    assert Program.from_json(json.dumps(data["program"])).text == subject.program.text
    assert Program.from_json(json.dumps(data["derivative"])).order == 1


def test_what_a_cell_is_called_does_no_harm() -> None:
    subject = explorer.of_cell(own_cell())
    page = explorer.page(subject)
    inside = page.split('id="data">')[1].split("</script>")[0]
    assert not set("<>&") & set(inside)
    assert "<b>." not in page
    found = Elements(page)
    assert [tag for tag, _ in found.elements].count("script") == 2
    assert (
        json.loads(found.texts["script"][0])["title"] == "Everything </script ><!--<script>alert(1)</script>"
    )
    assert found.texts["h1"] == ["Everything </script ><!--<script>alert(1)</script>, step by step"]


def test_numbers_are_packed_exactly(node) -> None:
    torch.manual_seed(1)
    layer = nn.GRU(2, 3, dtype=torch.float64)
    subject = explorer.of_layer(layer, torch.randn(4, 2, dtype=torch.float64))
    packed = document(subject)
    assert packed["tensors"]["weight_hh"]["type"] == "f8"
    assert document(explorer.of_cell("gru"))["tensors"]["weight_hh"]["type"] == "f4"
    (got,) = node("documents.map((d) => Array.from(new Model(d).drawn.weight_hh))", [subject])
    assert got == subject.tensors["weight_hh"].ravel().tolist()


def test_the_same_cell_gives_the_same_page_and_draws_no_one_s_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = explorer.page(explorer.of_cell("lstm"))
    assert torch.equal(torch.rand(1), expected)
    assert explorer.page(explorer.of_cell("lstm")) == one
    assert explorer.page(explorer.of_cell("lstm", seed=1)) != one


def test_equations_have_places_for_their_numbers() -> None:
    program = cells.get("lstm_layer_norm")
    first = equations(program)[0]
    assert first.text.startswith("σ(norm(W_i x_t) ⊙ norm_ih_gain_i + b_i")
    assert first.numbers.count("⟨") == 5
    assert [f"{line.name} = {line.text}" for line in equations(program)] == equations_text(program)
    projected = equations(cells.get("lstm_projected"))[-1]
    assert projected.numbers == projected.text


def test_the_units_that_move_most_are_shown_and_the_page_says_so() -> None:
    layer = nn.RNN(8, 30)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.mul_(0.01)
        layer.weight_ih_l0[[4, 17, 29]] += 1.0
    x = torch.randn(12, 3, 8) * torch.tensor([1.0, 1, 9, 1, 1, 9, 1, 1])
    subject = explorer.of_layer(layer, x, units=3)
    assert subject.shown["hidden"] == (4, 17, 29)
    assert set(subject.shown["input"]) > {2, 5}
    assert "Shown are 3 of 30 units and 3 of 8 input features" in explorer.page(subject)
    assert "Shown are" not in explorer.page(explorer.of_cell("lstm"))


def test_the_sequence_is_the_one_that_the_layer_reads() -> None:
    layer = nn.GRU(2, 3, batch_first=True)
    x = torch.randn(3, 7, 2)
    longest = explorer.of_layer(layer, x, lengths=[4, 7, 5])
    np.testing.assert_array_equal(longest.inputs["x"], x[1].numpy())
    np.testing.assert_array_equal(explorer.of_layer(layer, x, lengths=[4, 7, 5], row=2).inputs["x"], x[2, :5])
    np.testing.assert_array_equal(explorer.of_layer(layer, x, steps=3).inputs["x"], x[0, :3])
    packed = pack_sequence([x[1], x[2, :5], x[0, :4]])
    np.testing.assert_array_equal(explorer.of_layer(layer, packed).inputs["x"], x[1])
    np.testing.assert_array_equal(explorer.of_layer(layer, x[0]).inputs["x"], x[0])
    h = torch.randn(1, 3, 3)
    np.testing.assert_array_equal(explorer.of_layer(layer, x, h, row=2).initial["h"], h[0, 2])
    backwards = nn.Recurrent("gru", 2, 3, reverse=True, batch_first=True)
    np.testing.assert_array_equal(explorer.of_layer(backwards, x).inputs["x"], x[0].flip(0))
    assert explorer.of_layer(layer).steps == 48


def test_streams_of_a_layer_are_kept_apart() -> None:
    layer = nn.Recurrent("gru_d", 2, 3)
    x, m, d = torch.randn(6, 1, 2), torch.ones(6, 1, 2), torch.rand(6, 1, 2)
    subject = explorer.of_layer(layer, x, streams={"m": m, "d": d})
    np.testing.assert_array_equal(subject.inputs["d"], d[:, 0])
    assert explorer.of_layer(layer).inputs["m"].min() == 1


def test_the_first_call_on_a_sequence_is_recorded_and_ends_the_run() -> None:
    first, second = nn.LSTM(2, 3), nn.GRU(3, 4, batch_first=True)
    after = []
    with explorer.first_call() as calls:
        first(torch.zeros(1, 5, 2))
        second(torch.zeros(9, 1, 3))
        second(input=torch.zeros(2, 6, 3), lengths=[6, 3])
        after.append("went on")
    assert not after
    assert calls[0].layer is second
    assert calls[0].kwargs["lengths"] == [6, 3]
    with explorer.first_call() as calls:
        first(pack_sequence([torch.zeros(4, 2)]))
    assert calls[0].layer is first
    first(torch.zeros(4, 2))
    with explorer.first_call() as calls:
        torch.nn.Linear(2, 2)(torch.zeros(3, 2))
    assert not calls


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: explorer.of_cell("lsmt"), ArgumentError, "cell: expected one of"),
        (lambda: explorer.of_cell("lstm", 0), ArgumentError, "hidden_size: expected 1 to 64, got 0"),
        (lambda: explorer.of_cell("lstm", "4"), ArgumentTypeError, "hidden_size: expected a whole number"),
        (lambda: explorer.of_cell("lstm", steps=1), ArgumentError, "steps: expected 2 to 512, got 1"),
        (lambda: explorer.of_cell("lstm", seed=-1), ArgumentError, "seed: expected 0"),
        (lambda: explorer.of_cell(3), GatewiseError, "cell: expected"),
        (
            lambda: explorer.of_cell(prepared(cells.get("lstm"), masked=True)),
            ArgumentError,
            "cell: expected a cell's own program",
        ),
        (lambda: explorer.of_layer(torch.nn.LSTM(2, 3)), ArgumentTypeError, "layer: expected a gatewise.nn"),
        (lambda: explorer.of_layer(nn.GRU(2, 3), torch.zeros(4, 1, 5)), GatewiseError, "expected"),
        (lambda: explorer.of_layer(nn.GRU(2, 3), torch.zeros(1, 1, 2)), ArgumentError, "at least 2 steps"),
        (
            lambda: explorer.of_layer(nn.GRU(2, 3), torch.zeros(4, 2, 2), row=2),
            ArgumentError,
            "row: expected",
        ),
        (lambda: explorer.of_layer(nn.GRU(2, 3), units=0), ArgumentError, "units: expected 1 to 64"),
        (lambda: explorer.of_layer(nn.GRU(2, 1000)), ArgumentError, "at most 2,000,000 weights"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call, error, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_the_default_wave_shows_something_at_its_first_step(node) -> None:
    subject = explorer.of_cell("lstm")
    assert node("INPUTS.wave.at(0)") == 0.5  # sin(2 pi / 12)
    first = node("Object.values(Object.values(new Model(documents[0]).given)[0][0])", [subject])
    assert first == [0.5] * len(first)
    assert first


FIELD = """
const page = (typed, bounds, held) => {
  const events = {}, field = { value: typed, get valueAsNumber() { return parseFloat(this.value); },
    addEventListener: (name, then) => { events[name] = then; } };
  const told = { textContent: "" }, model = { held };
  numberField(field, { ...bounds, told, get: () => model.held, set: (value) => { model.held = value; } });
  events.input();
  events.change();
  return [model.held, field.value, told.textContent];
};
"""


@pytest.mark.parametrize(
    ("typed", "bounds", "expected"),
    [
        ("999", "{ min: 1, max: 24, whole: true }", [24, "24", "1 to 24: 24 is taken."]),
        ("0", "{ min: 1, max: 24, whole: true }", [1, "1", "1 to 24: 1 is taken."]),
        ("-7", "{ min: 0.05, max: 3 }", [0.05, "0.05", "0.05 to 3: 0.05 is taken."]),
        ("2.6", "{ min: 1, max: 24, whole: true }", [3, "3", "1 to 24: 3 is taken."]),
        ("", "{ min: 1, max: 24, whole: true }", [12, "12", "1 to 24: 12 is taken."]),
        ("5", "{ min: 1, max: 24, whole: true }", [5, "5", ""]),
    ],
)
def test_a_number_field_keeps_to_its_bounds_and_says_so(node, typed: str, bounds: str, expected) -> None:
    assert node(f'page("{typed}", {bounds}, 12)', body=FIELD) == expected
