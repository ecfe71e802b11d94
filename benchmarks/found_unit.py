"""The classic unit, found by search: does one unit of a character model tell where in a line or a name it is?

    python benchmarks/found_unit.py --out benchmarks/results/found-unit --docs docs   # goes on where it stopped
    python benchmarks/found_unit.py --quick --out benchmarks/results/quick            # to see that it runs

Karpathy, Johnson & Fei-Fei (2015) found by eye units of character models that follow quotations and the length of a
line. Here a model of one LSTM layer reads tinyshakespeare; the first 90 % train it, the last 10 % are never trained on.
Over a part of those, every unit's h and c is held against every built-in feature of texts. The best unit and its sign
are chosen on the first half of that part; its figure is that of the second half. Beside it: the same search in the same
network with weights as they were drawn (the control), and what the step's own character tells alone. Where a feature
is said to be found, the unit beats chance (p, shifted in time, corrected for the number of features), the character,
and the control's best unit.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import gzip
import json
from pathlib import Path

import torch

from gatewise import inspect
from gatewise.inspect.state_plots import plot_text
from gatewise.report.pictures import picture_png
from gatewise.store import atomic_write
from gatewise.tasks import LanguageModel
from gatewise.tasks.language.network import LanguageNetwork

try:
    from benchmarks.machine import describe
    from benchmarks.resumable import data_folder
except ImportError:
    from machine import describe
    from resumable import data_folder

MODEL = {
    "level": "character", "hidden_size": 256, "num_layers": 1, "max_epochs": 5, "patience": None, "random_state": 0,
}  # fmt: skip
# Characters of the held-back tenth that are searched.
STEPS = 60_000
SHOWN = 1100


def main() -> None:
    """Train, or load what was trained; search; write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/found-unit"))
    parser.add_argument(
        "--docs", type=Path, default=None, help="the docs folder to write page and picture to"
    )
    parser.add_argument("--quick", action="store_true", help="a small model, to see that it runs")
    arguments = parser.parse_args()
    path = data_folder() / "language-modelling" / "tinyshakespeare" / "input.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        text = file.read()
    cut = int(0.9 * len(text))
    settings = MODEL | ({"hidden_size": 16, "max_epochs": 1, "unseen": "unknown"} if arguments.quick else {})
    train, test = (text[:200_000] if arguments.quick else text[:cut]), text[cut : cut + STEPS]
    model = trained(train, settings, arguments.out)
    found, units, pieces = search(model, test)
    control, _, _ = search(untrained(model), test)
    numbers = {
        "settings": settings, "trained_on": len(train), "steps": len(test), "epochs": model.history_,
        "bits_per_character": model.bits_per_character(test), "environment": describe(),
        "trained": [one.to_dict() for one in found], "control": [one.to_dict() for one in control],
    }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    atomic_write(arguments.out / "found.json", (json.dumps(numbers, indent=1) + "\n").encode())
    page = written(numbers, found, control)
    print(page)
    best = best_of(found, control)
    begin = len(test) // 2 + 200
    figure = plot_text(
        pieces[begin : begin + SHOWN], units.of(best.unit)[begin : begin + SHOWN].astype(float),
        f"{best.unit}: {best.feature} ({'blue' if best.sign > 0 else 'orange'} is high)", most_lines=34,
    )  # fmt: skip
    atomic_write(arguments.out / "found-unit.png", picture_png(figure))
    if arguments.docs is not None:
        atomic_write(arguments.docs / "results" / "found-unit.md", page.encode())
        atomic_write(arguments.docs / "images" / "found-unit.png", picture_png(figure))


def trained(text: str, settings: dict, out: Path) -> LanguageModel:
    """The model of these settings: loaded where it is there, else trained, from its checkpoint where one is."""
    folder = out / "model"
    if (folder / "config.json").exists():
        return LanguageModel.load(folder)
    model = LanguageModel(**settings, checkpoint_folder=out / "checkpoints").fit(text)
    model.save(folder)
    return model


def untrained(model: LanguageModel) -> LanguageModel:
    """Another model: the same network with weights as they are drawn before training."""
    torch.manual_seed(1)
    drawn = LanguageNetwork(model.fitted_.network.plan).eval()
    other = copy.copy(model)
    other.fitted_ = dataclasses.replace(model.fitted_, network=drawn)
    return other


def search(model: LanguageModel, text: str) -> tuple[list, inspect.Activations, list[str]]:
    """The unit that tells each feature best; all units; the characters that were read."""
    with inspect.record(model, most_numbers=2**28) as recording:
        model.log_probabilities(text)
    units = inspect.activations(recording.traces)
    vocabulary = model.fitted_.tokenizer.vocabulary
    pieces = list(vocabulary.decode(model.fitted_.encode(text)[:-1]))
    return inspect.find_units(units, inspect.text_features(pieces), inputs=pieces), units, pieces


def is_found(one: inspect.Response, control: list) -> bool:
    """Whether the unit beats chance, the character alone, and the untrained network's best unit."""
    other = next((own for own in control if own.feature == one.feature), None)
    return one.holds and (other is None or one.score > other.score)


def best_of(found: list, control: list) -> inspect.Response:
    """What is found most clearly: by how far the unit is above the character and the control."""

    def gain(one: inspect.Response) -> float:
        others = [own.score for own in control if own.feature == one.feature]
        return one.score - max([one.baseline or 0.0, *others])

    kept = [one for one in found if is_found(one, control)] or found
    # A correlation's gain counts as half an AUC's: its range is twice as wide.
    return max(kept, key=lambda one: gain(one) * (1.0 if one.measure == "AUC" else 0.5))


def written(numbers: dict, found: list, control: list) -> str:
    """The page, in Markdown."""
    others = {one.feature: one for one in control}
    rows = [
        "| feature | measure | best unit | held-out | untrained network's best | the character alone | p | found |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        other = others.get(one.feature)
        rows.append(
            f"| {one.feature} | {one.measure} | {one.unit.split(', ', 1)[1]} | {one.score:.3f} | "
            f"{'' if other is None else f'{other.score:.3f}'} | {one.baseline:.3f} | {one.p_value:.2g} | "
            f"{'yes' if is_found(one, control) else 'no'} |"
        )
    clear = [one for one in found if is_found(one, control)]
    best = best_of(found, control)
    said = (
        f"Found: {', '.join(one.feature for one in clear)}. Most clearly: {best.feature}, told by {best.unit} with "
        f"{best.measure} {best.score:.3f} on text that took no part in its choice."
        if clear
        else "No unit was found that beats chance, the character and the control."
    )
    machine = numbers["environment"]
    return (
        "# A unit that follows the text, found by search\n\n"
        "`python benchmarks/found_unit.py --docs docs`. "
        f"tinyshakespeare; one LSTM layer of {numbers['settings']['hidden_size']} units, "
        f"{numbers['settings']['max_epochs']} epochs over {numbers['trained_on']:,} characters; "
        f"{numbers['bits_per_character']:.3f} bits per character on the {numbers['steps']:,} that were searched.\n\n"
        f"{said}\n\n" + "\n".join(rows) + "\n\n"
        "h and c of every unit were searched. Unit and sign are chosen on the first half of the text searched; the "
        "figures are of the second half (AUC: 0.5 is chance; correlation: 0). Untrained: the same search in the same "
        "network with weights as they are drawn. The character alone: the feature's mean for each character, learned "
        "on the first half. p: against the feature shifted in time, corrected for the number of features (Holm).\n\n"
        "![The text coloured by the unit's value](../images/found-unit.png)\n\n"
        f"{machine['text']}\n"
    )


if __name__ == "__main__":
    main()
