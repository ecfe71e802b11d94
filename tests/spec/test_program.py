"""Properties that follow from a program's graph."""

from __future__ import annotations

import pytest

from gatewise import cells
from gatewise.spec.derivative import differentiate, recorded, saved_values
from gatewise.spec.linearity import coefficients
from gatewise.spec.printers import cpp, equations_latex, equations_text, page
from gatewise.spec.stages import stages

NO_PRODUCT = {"indrnn", "sru", "min_lstm", "min_gru"}
LINEAR = {"min_lstm", "min_gru"}


@pytest.mark.parametrize("name", cells.names())
def test_two_properties_follow_from_the_graph(name):
    program = cells.get(name)
    assert program.has_recurrent_product == (name not in NO_PRODUCT)
    assert program.is_linear_in_state == (name in LINEAR)
    assert (coefficients(program) is not None) == (name in LINEAR)


def test_torch_cells_have_torch_names_and_shapes():
    sizes = {"input": 3, "hidden": 5, "proj": 2}
    lstm = cells.get("lstm_projected")
    shapes = {t.name: lstm.shape(t, sizes) for t in lstm.tensors}
    assert shapes == {
        "weight_ih": (20, 3), "weight_hh": (20, 2), "bias_ih": (20,), "bias_hh": (20,), "weight_hr": (2, 5),
    }  # fmt: skip
    assert [part for part, _ in cells.get("gru").tensors[0].parts] == ["r", "z", "n"]


def test_lstm_saves_its_four_gates_and_one_tanh():
    program = cells.get("lstm")
    assert sorted(program.nodes[i].op for i in saved_values(program)) == ["sigmoid"] * 3 + ["tanh"] * 2


def test_what_is_given_out_is_not_saved_twice():
    program = recorded(cells.get("lstm"))
    nodes = [node for _, node in program.emits]
    assert program.output not in nodes
    assert len(set(nodes)) == len(nodes)


@pytest.mark.parametrize("name", cells.names())
def test_derivatives_of_linear_steps_are_linear(name):
    program = recorded(cells.get(name))
    derived = differentiate(program, ("output",), ("x",), tuple(t.name for t in program.tensors))
    # Without a matrix in the loop, the backward recurrence is elementwise and linear.
    assert derived.is_linear_in_state == (name in NO_PRODUCT)


def test_mogrifier_products_stay_in_the_loop():
    program = cells.get("lstm_mogrifier")
    inside = [s for s in stages(program) if not s.hoisted]
    assert any("weight_ih.i" in stage.products for stage in inside)
    assert not any("weight_ih.i" in stage.products for stage in stages(program) if stage.hoisted)
    hoisted = [s for s in stages(cells.get("lstm")) if s.hoisted]
    assert hoisted[0].products == ("weight_ih.o", "weight_ih.f", "weight_ih.i", "weight_ih.g")


def test_stages_of_the_reset_before_gru():
    loop = [stage.products for stage in stages(cells.get("gru_reset_before")) if not stage.hoisted]
    assert [sorted(names) for names in loop] == [["weight_hh.r", "weight_hh.z"], ["weight_hh.n"]]


def test_what_a_stage_reads_an_earlier_one_wrote():
    for name in cells.names():
        program = cells.get(name)
        written: set[int] = set()
        for stage in stages(program):
            for index in stage.reads:
                assert index in written or not program.nodes[index].args, (name, index)
            written |= set(stage.writes)


def test_equations_of_the_lstm():
    assert equations_text(cells.get("lstm", bias=False)) == [
        "i_t = σ(W_i x_t + R_i h_{t-1})",
        "f_t = σ(W_f x_t + R_f h_{t-1})",
        "g_t = tanh(W_g x_t + R_g h_{t-1})",
        "o_t = σ(W_o x_t + R_o h_{t-1})",
        "c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t",
        "h_t = o_t ⊙ tanh(c_t)",
    ]
    assert equations_latex(cells.get("lstm"))[-1] == r"h_t = o_t \odot \tanh\left(c_t\right)"


@pytest.mark.parametrize("name", cells.names())
def test_pages_say_what_there_is(name):
    text = page(cells.get(name))
    for tensor in cells.get(name).tensors:
        assert f"`{tensor.name}`" in text
    assert cells.describe(name).cite in text
    assert len(cells.describe(name).doc) > 40


def test_cpp_text_uses_the_table():
    lines = cpp(cells.get("lstm"))
    assert sum("tanh(" in line for line in lines) == 2
    assert all(line.endswith(";") for line in lines)
