"""The page in a real browser: its numbers, what its controls do, and how it looks, for every cell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gatewise import cells, explorer, nn
from tests.explorer.oracle import assert_same, numbers, own_cell

SMALLEST_TEXT = """
[...document.querySelectorAll("body *")].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => !["SCRIPT", "STYLE"].includes(e.tagName))
  .reduce((least, e) => Math.min(least, parseFloat(getComputedStyle(e).fontSize)), 99)"""
CONTRAST = """
(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (rgb) => rgb.map((x) => x / 255).map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, k) => sum + x * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = {};
  for (const name of ["h1", ".note", ".eyebrow", "#play", "#back", ".filled .result", ".strip small", ".group",
                      ".chips [aria-pressed=true]", ".chips [aria-pressed=false]", "#where", "summary", "td input"]) {
    const e = document.querySelector(name);
    const [a, b] = [light(parts(getComputedStyle(e).color)), light(parts(behind(e)))];
    found[name] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
})()"""


def shown(page, what: str) -> dict[int, float]:
    """A column of the table of numbers: by place, at full precision."""
    rows = page.tab.eval_on_selector_all(
        f'[data-what="{what}"]', "all => all.map((e) => [e.dataset.place, e.dataset.value, e.textContent])"
    )
    for _, value, text in rows:
        rounded = float(text.replace("−", "-").replace("\u2007", ""))
        assert math.isclose(rounded, float(value), rel_tol=0.5, abs_tol=0.0006), (value, text)
    return {int(place): float(value) for place, value, _ in rows}


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_shows_the_reference_s_numbers(opened, name: str) -> None:
    subject = explorer.of_cell(name, steps=8)
    page = opened(subject, width=400)
    expected = numbers(subject, 7)
    assert assert_same(page.numbers(), expected) > 20
    for _ in range(5):
        page.tab.keyboard.press("ArrowRight")
    page.settle()
    assert page.text("#where") == "step 6 of 8"
    for label in subject.program.labels:
        column = shown(page, f"gate:{label.name}")
        np.testing.assert_allclose(list(column.values()), expected["gates"][label.name][5], atol=1e-6)
    for state in subject.program.states:
        column = shown(page, f"state:{state.name}")
        np.testing.assert_allclose(list(column.values()), expected["states"][6][state.name], atol=1e-6)
        column = shown(page, f"gradient:{state.name}")
        back = expected["gradient"]["states"][6][state.name]
        np.testing.assert_allclose(list(column.values()), back, rtol=1e-6, atol=1e-6)
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.tab.evaluate(SMALLEST_TEXT) >= 11


def test_a_cell_typed_here_and_a_name_that_is_markup(opened) -> None:
    subject = explorer.of_cell(own_cell(), 5, 2, 8)
    page = opened(subject)
    assert_same(page.numbers(), numbers(subject, 7))
    assert page.text("h1").startswith("Everything </script ><!--<script>alert(1)</script>, step")


def test_numbers_stand_in_the_equations(opened) -> None:
    subject = explorer.of_cell("rnn_tanh", steps=6)
    page = opened(subject)
    page.tab.select_option("#unit", index=2)
    page.tab.keyboard.press("End")
    page.settle()
    line = page.text(".equation .formula")
    assert line == "ht = tanh(Wh xt + bWh + bRh + Rh ht−1)"
    filled = page.text(".equation .filled").replace("\u2007", "")
    weights, states = subject.tensors, numbers(subject, 5)["states"]
    terms = (
        weights["weight_ih"][2, 0] * subject.inputs["x"][5, 0],
        weights["bias_ih"][2],
        weights["bias_hh"][2],
        weights["weight_hh"][2] @ np.array(states[5]["h"]),
    )
    written = " + ".join(f"{term:.3f}".replace("-", "−") for term in terms)
    assert filled == f"unit 3tanh({written}) = {states[6]['h'][2]:.3f}".replace("-", "−")


def test_editing_the_input_and_the_weights_changes_the_numbers_rightly(opened) -> None:
    subject = explorer.of_cell("gru", hidden_size=3, steps=8)
    page = opened(subject)
    page.tab.keyboard.press("ArrowRight")
    page.tab.keyboard.press("ArrowRight")
    page.settle()
    page.tab.fill("#input-editor input[type=number]", "-1.75")
    inputs = {"x": subject.inputs["x"].copy()}
    inputs["x"][2, 0] = -1.75
    changed = replace(subject, inputs=inputs)
    assert_same(page.numbers(), numbers(changed, 7))
    assert page.tab.get_attribute("[data-preset=wave]", "aria-pressed") == "false"

    page.tab.click("text=gate n")
    page.tab.fill("[aria-label='weight_hh, n: unit 2 from h 3']", "1.5")
    tensors = {name: x.copy() for name, x in subject.tensors.items()}
    tensors["weight_hh"][7, 2] = 1.5
    changed = replace(changed, tensors=tensors)
    assert_same(page.numbers(), numbers(changed, 7))
    page.tab.focus("#selected")
    page.tab.eval_on_selector(
        "#selected", "e => { e.value = '-0.5'; e.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    tensors["weight_hh"][7, 2] = -0.5
    expected = numbers(replace(changed, tensors=tensors), 7)
    assert_same(page.numbers(), expected)
    assert page.tab.input_value("[aria-label='weight_hh, n: unit 2 from h 3']") == "-0.5"
    slope = float(page.text("#selected-gradient").replace("−", "-").replace("\u2007", ""))
    assert math.isclose(slope, expected["gradient"]["tensors"]["weight_hh"][7 * 3 + 2], abs_tol=0.0006)

    page.tab.fill("#last", "5")
    page.tab.select_option("#of", index=2)
    assert_same(page.numbers(), numbers(replace(changed, tensors=tensors), 4, unit=1))
    page.tab.click("#reset-weights")
    page.tab.click("#reset-input")
    assert_same(page.numbers(), numbers(subject, 4, unit=1))


def test_dragging_on_the_bars_draws_an_input(opened) -> None:
    page = opened(explorer.of_cell("lstm", steps=10))
    box = page.tab.locator("canvas.bars").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.tab.mouse.move(box["x"] + box["width"] * 0.25, middle)
    page.tab.mouse.down()
    for step in range(2, 6):
        page.tab.mouse.move(box["x"] + box["width"] * (step + 0.5) / 10, middle - box["height"] * 0.235)
    page.tab.mouse.up()
    x = [row[0] for row in page.numbers()["inputs"]["x"]]
    np.testing.assert_allclose(x[2:6], 1, atol=0.1)
    assert page.text("#where") == "step 6 of 10"
    canvas = page.tab.locator("canvas[aria-label^='gate f']").bounding_box()
    page.tab.mouse.click(canvas["x"] + canvas["width"] * 0.85, canvas["y"] + canvas["height"] * 0.6)
    assert page.text("#where") == "step 9 of 10"
    assert page.tab.input_value("#unit") == "2"


def test_buttons_and_keys_step_and_play(opened) -> None:
    page = opened(explorer.of_cell("lstm", steps=4))
    for press, expected in (
        ("#end", 4), ("#forth", 4), ("#back", 3), ("#first", 1), ("#back", 1), ("#forth", 2),
    ):  # fmt: skip
        page.tab.click(press)
        assert page.text("#where") == f"step {expected} of 4"
    page.tab.evaluate("document.activeElement.blur()")
    for key, expected in (("Home", 1), ("ArrowRight", 2), ("End", 4), ("ArrowLeft", 3)):
        page.tab.keyboard.press(key)
        assert page.text("#where") == f"step {expected} of 4"
    page.tab.keyboard.press("ArrowDown")
    page.settle()
    assert page.tab.input_value("#unit") == "1"
    page.tab.keyboard.press("Home")
    page.tab.keyboard.press(" ")
    assert page.text("#play") == "Pause"
    page.tab.wait_for_selector("#play:text-is('Play')")
    assert page.text("#where") == "step 4 of 4"
    assert page.text("#spoken").startswith("Step 4 of 4. i ")
    # A key that is typed into a field is the field's.
    page.tab.focus("#last")
    page.tab.keyboard.press("Home")
    assert page.text("#where") == "step 4 of 4"


def test_the_gradient_is_shown_moving_backwards(opened) -> None:
    page = opened(explorer.of_cell("rnn_tanh", steps=6))
    page.tab.click("#backwards")
    page.settle()
    assert page.tab.evaluate("explorer.reveal") >= 3
    assert page.text("#backwards") == "Stop"
    seen = page.tab.evaluate(
        """new Promise((done) => {
          const seen = new Set();
          const look = () => {
            seen.add(explorer.reveal);
            explorer.timer === null ? done([...seen]) : requestAnimationFrame(look);
          };
          look();
        })"""
    )
    assert sorted(seen)[:4] == [0, 1, 2, 3]
    assert page.text("#where") == "step 1 of 6"
    page.tab.click("[data-preset=silence]")
    page.tab.click("[data-preset=large]")
    assert "multiplied it by 1.60 on average. It grows" in page.text("#gradient-words")
    page.tab.click("[data-preset=small]")
    assert "multiplied it by 0.50 on average. It vanishes" in page.text("#gradient-words")
    page.tab.fill("#last", "3")
    page.tab.click("#end")
    assert page.text("#gradient-words").startswith("This step comes after the loss (step 3)")


def test_a_layer_of_a_model(opened) -> None:
    layer = nn.LSTM(12, 40, num_layers=2)
    subject = explorer.of_layer(layer, torch.randn(30, 2, 12))
    page = opened(subject, width=400, scheme="dark")
    assert_same(page.numbers(), numbers(subject, 29))
    assert page.tab.evaluate("document.querySelector('#unit').options.length") == 6
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 400
    np.testing.assert_allclose(
        list(shown(page, "state:h").values()),
        np.array(numbers(subject, 29)["states"][1]["h"])[list(subject.shown["hidden"])],
        atol=1e-6,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_can_be_read_and_nothing_jumps(opened, scheme: str) -> None:
    page = opened(explorer.of_cell("lstm_peephole", steps=12), scheme=scheme)
    paper = page.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}[scheme]
    assert {name: ratio for name, ratio in page.tab.evaluate(CONTRAST).items() if ratio < 4.5} == {}
    page.tab.evaluate(
        """window.moved = 0;
        new PerformanceObserver((list) => { for (const e of list.getEntries()) window.moved += e.value; })
          .observe({ type: "layout-shift", buffered: true });"""
    )
    for preset in ("alternating", "open", "silence"):
        page.tab.click(f"[data-preset={preset}]")
        for _ in range(4):
            page.tab.click("#forth")
            page.settle()
    assert page.tab.evaluate("window.moved") < 0.01
    page.tab.click("#scheme")
    assert page.tab.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    assert {name: ratio for name, ratio in page.tab.evaluate(CONTRAST).items() if ratio < 4.5} == {}


def test_every_control_has_a_name(opened) -> None:
    page = opened(explorer.of_cell("gru_d", steps=6))
    nameless = page.tab.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, svg[role]")].filter((e) =>
          !(e.getAttribute("aria-label") || e.textContent.trim()
            || [...(e.labels ?? [])].some((l) => l.textContent.trim())))
          .map((e) => e.outerHTML.slice(0, 90))"""
    )
    assert nameless == []
