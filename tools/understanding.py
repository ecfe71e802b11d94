"""What docs/understanding.md and docs/results/claims.md take from the code and from measured lines.

    python tools/understanding.py          # draw the guide's pictures anew
    python tools/understanding.py --check  # say which are not of the present lines, and exit with 1

The texts between marks are written by tools/generate_docs.py, which calls `filled`.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from gatewise import cells, nn
from gatewise.spec.printers import equations_latex, equations_text

try:
    from tools import claim_lines, claim_tables, claim_verdicts, step_through, understanding_pictures
except ImportError:
    import claim_lines
    import claim_tables
    import claim_verdicts
    import step_through
    import understanding_pictures

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "understanding.md"
RESULTS = ROOT / "docs" / "results" / "claims.md"
_MARK = re.compile(
    r"<!-- (?P<name>[\w-]+): written by tools/generate_docs\.py -->\n.*?<!-- /(?P=name) -->", re.DOTALL
)

_BIASES = (-1.0, 0.0, 1.0, 2.0, 3.0, 5.0)
# The variants of the guide's table, and the width at which their numbers are counted.
_VARIANTS = (
    "rnn_tanh", "lstm", "lstm_peephole", "lstm_coupled", "gru", "lstm_layer_norm", "slstm", "min_lstm", "min_gru",
    "sru", "indrnn",
)  # fmt: skip
_WIDTH = 64


def filled(text: str, where: str) -> str:
    """A page with what stands between its marks brought up to date.

    Args:
        text: the page.
        where: its name, for the message.

    Raises:
        SystemExit: a mark whose name nothing is written for, or no mark at all.
    """
    known = blocks()

    def fresh(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in known:
            sys.exit(f"{where}: expected a mark of {', '.join(known)}, got {name!r}")
        return f"<!-- {name}: written by tools/generate_docs.py -->\n{known[name]()}\n<!-- /{name} -->"

    if not _MARK.search(text):
        sys.exit(f"{where}: expected marks such as <!-- lstm-step: written by tools/generate_docs.py -->")
    return _MARK.sub(fresh, text)


def pages() -> dict[Path, str]:
    """The guide and its page of results, brought up to date, by path."""
    return {path: filled(path.read_text(encoding="utf-8"), path.name) for path in (GUIDE, RESULTS)}


def blocks() -> dict[str, Callable[[], str]]:
    """What can stand between marks, by name."""
    return {
        "rnn-equations": lambda: equations("rnn_tanh"),
        "lstm-equations": lambda: equations("lstm"),
        "lstm-step": step_through.table,
        "lstm-step-code": step_through.code,
        "forget-bias": forget_table,
        "variants": variant_table,
        "claims": claim_verdicts.summary_table,
        "picture-flow": lambda: picture("understanding-flow.png"),
        "picture-memory": lambda: picture("understanding-memory.png"),
        **{f"verdict-{name}": say for name, say in claim_verdicts.verdicts().items()},
        "claims-flow": claim_tables.flow_table,
        "claims-memory": claim_tables.memory_table,
        "claims-reach": claim_tables.reach_table,
        "claims-timing": claim_tables.timing_table,
        "claims-units": claim_tables.units_table,
        "claims-tagging": claim_tables.tagging_table,
        "claims-activity": claim_tables.activity_table,
        "claims-machine": claim_tables.machine_text,
    }


def equations(name: str) -> str:
    """A cell's equations, from its program."""
    lines = [line.replace(" = ", " &= ", 1) + r" \\" for line in equations_latex(cells.get(name))]
    return "\n".join(["```math", r"\begin{aligned}", *lines, r"\end{aligned}", "```"])


def picture(name: str) -> str:
    """A picture and what it shows, or that its lines are not there."""
    data, _ = understanding_pictures.PICTURES[name]
    shown = data()
    if shown is None:
        return claim_lines.MISSING.capitalize() + "."
    alt, caption = understanding_pictures.CAPTIONS[name](shown)
    return f"![{alt}](images/{name})\n\n*{caption}*"


# --- tables that follow from formulas and programs


def forget_table() -> str:
    """What a forget gate with nothing but its bias lets through, step by step."""
    rows = [
        "| forget bias | f = σ(bias) | steps until half is left | until 1 % |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for bias in _BIASES:
        share = float(torch.sigmoid(torch.tensor(bias, dtype=torch.float64)))
        half, least = (math.log(part) / math.log(share) for part in (0.5, 0.01))
        rows.append(f"| {bias:g} | {share:.4f} | {half:.3g} | {least:.3g} |")
    return "\n".join(rows)


def variant_table() -> str:
    """The variants: what their state becomes, their size, and what their equations allow."""
    rows = [
        f"| cell | the state's equation | parameters at {_WIDTH} units | product in the step | parallel in time |",
        "| --- | --- | ---: | --- | --- |",
    ]
    for name in _VARIANTS:
        program = cells.get(name)
        kept = "c" if any(state.name == "c" for state in program.states) else "h"
        written = dict(line.split(" = ", 1) for line in equations_text(program))
        line = f"{kept}_t = {written[f'{kept}_t']}"
        # Values that are used more than once have names of their own; they are told with it.
        inner = [name for name in written if name.startswith("a_") and name in line]
        line = ", ".join([line, *(f"{name} = {written[name]}" for name in inner)])
        size = sum(one.numel() for one in nn.Recurrent(name, _WIDTH, _WIDTH).parameters())
        product = "yes" if program.has_recurrent_product else "no"
        parallel = "yes" if program.is_linear_in_state else "no"
        rows.append(f"| [`{name}`](cells/{name}.md) | `{line}` | {size:,} | {product} | {parallel} |")
    return "\n".join(rows)


def main() -> int:
    """Draw the pictures, or say which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="draw nothing; exit with 1 if one is out of date"
    )
    check = parser.parse_args().check
    stale = understanding_pictures.outdated()
    for path in stale:
        print(path.relative_to(ROOT))
    if not check:
        understanding_pictures.draw()
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
