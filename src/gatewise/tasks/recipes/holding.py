"""Which records are held back from learning: whole entities, or whole kinds of bad records, by folds or once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.records import Windows
from gatewise.errors import DataError
from gatewise.tasks.classify.splits import hold_out

__all__ = ["Part", "by_entity", "by_kind", "held_by_all"]

Whole = NDArray[np.int64]
Names = NDArray[Any]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """One member's stretches.

    Args:
        kept: those that it learns from.
        stopping: those that it stops by.
        held: those that are held back from it, for the threshold.
    """

    kept: Whole
    stopping: Whole
    held: Whole


def by_entity(
    windows: Windows, bad: Flags, share: float, seed: int, *, grouped: bool, members: int
) -> list[Part]:
    """A share of the entities (of the records, where each stands alone), the same for all members."""
    strata = np.array(
        [int(bad[piece].any()) for piece in windows.sequences.split(windows.record)], dtype=np.int64
    )
    kept, held = hold_out(strata, windows.entities if grouped else None, share, seed)
    return [Part(kept, held, held)] * members


def by_kind(
    windows: Windows, kinds: Names, bad: Flags, share: float, seed: int, *, members: int
) -> list[Part]:
    """A share of the harmless stretches, and whole kinds of bad records.

    One member is spared a share of the kinds. Of several, each is spared another fold of the kinds, so that together
    they know all of them, and each kind is unknown to one. The harmless stretches that are held back are the same for
    all. A stretch with bad records goes by the kind of the first of these. Members stop by those harmless ones and by a
    share of the kinds that they know: by what is new to them, the first epochs would always be the best.

    Raises:
        DataError: there are fewer kinds than that needs.
    """
    pieces = windows.sequences.split(windows.record)
    harmful = np.array([bool(bad[piece].any()) for piece in pieces])
    named = np.array(
        [str(kinds[piece[bad[piece]][0]]) if harmful[i] else "" for i, piece in enumerate(pieces)]
    )
    generator = np.random.default_rng(seed)
    shown = generator.permutation(np.unique(named[harmful]))
    if len(shown) < max(2, members):
        raise DataError(
            f'held_back: "kinds" needs at least {max(2, members)} kinds of bad records for members={members}, came '
            f'{len(shown)}; say "entities"' + (", or fewer members" if len(shown) > 1 else "")
        )
    harmless = np.flatnonzero(~harmful)
    drawn = generator.permutation(harmless)[: max(1, round(len(harmless) * share))]
    spared = [shown[number::members] for number in range(members)]
    if members == 1:
        spared = [shown[: max(1, round(len(shown) * share))]]
    found = []
    for names in spared:
        new = harmful & np.isin(named, names)
        known = generator.permutation(np.flatnonzero(harmful & ~new))
        stopping = np.sort(np.concatenate([drawn, known[: round(len(known) * share)]]))
        held = np.sort(np.concatenate([drawn, np.flatnonzero(new)]))
        kept = np.setdiff1d(np.arange(len(pieces)), np.concatenate([stopping, held]))
        found.append(Part(kept.astype(np.int64), stopping.astype(np.int64), held.astype(np.int64)))
    return found


def held_by_all(parts: list[Part]) -> Whole:
    """The stretches that no member learns from."""
    common = parts[0].held
    for part in parts[1:]:
        common = np.intersect1d(common, part.held)
    return common.astype(np.int64)
