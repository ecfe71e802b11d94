"""`gatewise generate`: a language model writes on, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EXAMPLES", "generate"]

EXAMPLES = """\
[bold]Examples[/]

gatewise generate runs/plays --prompt "ROMEO:" --temperature 0.8 --max-tokens 500

gatewise generate runs/novel --prompt "It was" --top-p 0.9 --stop "." --seed 7

cat beginning.txt | gatewise generate runs/novel --prompt -
"""


def generate(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    prompt: Annotated[str, typer.Option(help="What to go on from; - reads it from standard input.")] = "",
    max_tokens: Annotated[int, typer.Option(help="The most tokens.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1 more of what is probable, 0 always the most probable.")
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw from so many of the most probable.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw from the fewest that have this share.")] = None,
    beams: Annotated[int, typer.Option(help="Search the most probable text with so many beams.")] = 1,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this string; may be given several times.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Write on after a prompt; the text appears as it is written."""
    from gatewise.cli.language_commands import write_text

    write_text(
        model, prompt, device=device, beams=beams, max_tokens=max_tokens, temperature=temperature, top_k=top_k,
        top_p=top_p, stop=tuple(stop or ()), random_state=seed,
    )  # fmt: skip
