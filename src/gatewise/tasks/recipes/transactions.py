"""Made-up card transactions with several kinds of fraud. SYNTHETIC: no line of it was ever paid.

No set of real transactions with cards, merchants and times is free to use, so that this one is drawn. What a model
reaches on it says how well it reads histories of this make, and nothing of any bank's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from gatewise.errors import ArgumentError

__all__ = ["KINDS", "simulate_transactions"]

KINDS = ("card testing", "stolen card", "account takeover", "skimming")
_CATEGORIES = (
    "groceries",
    "fuel",
    "restaurant",
    "transport",
    "clothing",
    "electronics",
    "travel",
    "games",
    "jewellery",
)
# Each category's share of honest purchases, typical amount, spread of its logarithm, and share that is bought online.
_SHARE = np.array([0.30, 0.10, 0.20, 0.15, 0.09, 0.05, 0.04, 0.05, 0.02])
_AMOUNT = np.array([35.0, 50.0, 28.0, 9.0, 60.0, 180.0, 260.0, 25.0, 220.0])
_SPREAD = np.array([0.6, 0.35, 0.6, 0.7, 0.6, 0.9, 0.8, 0.7, 0.8])
_ONLINE = np.array([0.05, 0.0, 0.08, 0.25, 0.4, 0.5, 0.7, 0.95, 0.2])
_COUNTRIES = ("AT", "BE", "CZ", "DE", "DK", "ES", "FR", "IT", "NL", "PL")
_MERCHANTS, _DAY = 400, 86_400.0
_START = np.datetime64("2024-01-01", "us")


@dataclass(frozen=True)
class _Card:
    """How one card is used: purchases a day, its usual merchants, hour of the day, level of amounts, home."""

    number: int
    daily: float
    merchants: NDArray[np.int64]
    hour: float
    level: float
    home: int
    days: int


def simulate_transactions(
    cards: int = 500, days: int = 60, *, fraud_per_card: float = 0.12, random_state: Any = None
) -> pa.Table:
    """Draw a SYNTHETIC table of card transactions.

    Honest use: each card has its rate, its hours, its level of amounts and some fifteen usual merchants; it now and
    then goes elsewhere, buys something dear, or travels for some days. Fraud, each kind at equal odds:

    - "card testing": four to ten small online payments within minutes, then one or two large ones;
    - "stolen card": for some hours, purchases in shops where the card was never used, at two to five times its level;
    - "account takeover": over one to three nights, dear things online, electronics, games and travel;
    - "skimming": one or two purchases in a foreign country, of usual size, while the card is used at home.

    Args:
        cards: at least 1.
        days: at least 2.
        fraud_per_card: expected number of episodes of fraud for a card in 60 days, at least 0.
        random_state: an integer, a numpy RandomState, or None.

    Returns:
        A table sorted by time: card, time, amount, hour (0 to 24), merchant, category, country, entry ("chip" or
        "online"), label ("normal" or the kind of fraud), synthetic (true).

    Raises:
        ArgumentError: a number is out of its range.

    Example:
        >>> table = simulate_transactions(cards=20, days=10, random_state=0)
        >>> table.column_names[:3], table.column("synthetic")[0].as_py()
        (['card', 'time', 'amount'], True)
    """
    for name, value, least in (("cards", cards, 1), ("days", days, 2)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ArgumentError(f"{name}: an integer of at least {least} is expected, came {value!r}")
    if not isinstance(fraud_per_card, int | float) or not 0 <= fraud_per_card < np.inf:
        raise ArgumentError(f"fraud_per_card: a number of at least 0 is expected, came {fraud_per_card!r}")
    generator = np.random.default_rng(int(check_random_state(random_state).randint(2**31 - 1)))
    shops = _shops(generator)
    rows: list[dict[str, NDArray[Any]]] = []
    for number in range(cards):
        card = _card(number, days, generator)
        rows.append(_honest(card, shops, generator))
        for _ in range(generator.poisson(fraud_per_card * days / 60)):
            kind = int(generator.integers(len(KINDS)))
            rows.append(_FRAUDS[kind](card, shops, generator))
    return _table(rows, shops)


def _shops(generator: np.random.Generator) -> dict[str, NDArray[Any]]:
    """What each merchant sells, and where; few are large."""
    return {
        "category": generator.choice(len(_CATEGORIES), _MERCHANTS, p=_SHARE / _SHARE.sum()),
        "country": generator.integers(len(_COUNTRIES), size=_MERCHANTS),
        "size": generator.pareto(1.2, _MERCHANTS) + 0.2,
    }


def _card(number: int, days: int, generator: np.random.Generator) -> _Card:
    return _Card(
        number=number,
        daily=float(np.exp(generator.normal(0.3, 0.6))),
        merchants=generator.choice(_MERCHANTS, 15, replace=False),
        hour=float(generator.uniform(10, 19)),
        level=float(np.exp(generator.normal(0, 0.4))),
        home=int(generator.integers(len(_COUNTRIES))),
        days=days,
    )


def _honest(
    card: _Card, shops: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    count = max(1, int(generator.poisson(card.daily * card.days)))
    day = generator.integers(card.days, size=count)
    hour = generator.normal(card.hour, 3.5, count) % 24
    usual = generator.choice(card.merchants, count, p=_weights(shops["size"][card.merchants]))
    elsewhere = generator.choice(_MERCHANTS, count, p=_weights(shops["size"]))
    merchant = np.where(generator.random(count) < 0.12, elsewhere, usual)
    online = generator.random(count) < _ONLINE[shops["category"][merchant]]
    country = np.where(online & (generator.random(count) < 0.3), shops["country"][merchant], card.home)
    if generator.random() < 0.25:
        begin, abroad = generator.integers(card.days), generator.integers(len(_COUNTRIES))
        away = (day >= begin) & (day < begin + generator.integers(2, 9))
        country = np.where(away, abroad, country)
        merchant = np.where(away & ~online, elsewhere, merchant)
    dear = np.where(generator.random(count) < 0.02, generator.uniform(3, 8, count), 1.0)
    return _rows(card, (day + hour / 24) * _DAY, merchant, country, online, dear, shops, generator)


def _testing(
    card: _Card, shops: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    small, large = int(generator.integers(4, 11)), int(generator.integers(1, 3))
    gaps = np.concatenate([generator.exponential(90, small), generator.exponential(900, large)])
    times = _moment(card, generator, 0, 24) + np.cumsum(gaps)
    merchant = _of(shops, (3, 7), small + large, generator)
    factor = np.concatenate([generator.uniform(0.03, 0.2, small), generator.uniform(8, 25, large)])
    country = shops["country"][merchant]
    return _rows(
        card, times, merchant, country, np.ones(small + large, bool), factor, shops, generator, kind=0
    )


def _stolen(
    card: _Card, shops: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    count = int(generator.integers(3, 9))
    times = _moment(card, generator, 9, 20) + np.cumsum(generator.exponential(1500, count))
    merchant = _of(shops, (0, 4, 5, 8), count, generator)
    factor = generator.uniform(2, 5, count)
    country = np.full(count, card.home)
    return _rows(card, times, merchant, country, np.zeros(count, bool), factor, shops, generator, kind=1)


def _takeover(
    card: _Card, shops: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    count = int(generator.integers(2, 7))
    nights = np.sort(generator.integers(0, 3, count)) * _DAY
    times = _moment(card, generator, 0, 3) + nights + generator.uniform(0, 3 * 3600, count)
    merchant = _of(shops, (5, 6, 7), count, generator)
    factor = generator.uniform(1.2, 4, count)
    country = shops["country"][merchant]
    return _rows(card, times, merchant, country, np.ones(count, bool), factor, shops, generator, kind=2)


def _skimming(
    card: _Card, shops: dict[str, NDArray[Any]], generator: np.random.Generator
) -> dict[str, NDArray[Any]]:
    count = int(generator.integers(1, 3))
    times = _moment(card, generator, 8, 22) + np.cumsum(generator.exponential(5000, count))
    merchant = _of(shops, (0, 1, 2, 4), count, generator)
    country = np.full(count, (card.home + generator.integers(1, len(_COUNTRIES))) % len(_COUNTRIES))
    return _rows(
        card, times, merchant, country, np.zeros(count, bool), np.ones(count), shops, generator, kind=3
    )


_FRAUDS = (_testing, _stolen, _takeover, _skimming)


def _moment(card: _Card, generator: np.random.Generator, first_hour: float, last_hour: float) -> float:
    """When an episode begins, in seconds; late enough that the card has a past."""
    day = generator.uniform(0.15 * card.days, max(card.days - 3, 0.16 * card.days))
    return float((np.floor(day) + generator.uniform(first_hour, last_hour) / 24) * _DAY)


def _of(
    shops: dict[str, NDArray[Any]], categories: tuple[int, ...], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Merchants of these categories; any, should there be none."""
    fitting = np.flatnonzero(np.isin(shops["category"], categories))
    return generator.choice(fitting if len(fitting) else np.arange(_MERCHANTS), count)


def _weights(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    return sizes / sizes.sum()


def _rows(
    card: _Card, times: NDArray[np.float64], merchant: NDArray[np.int64], country: NDArray[Any],
    online: NDArray[np.bool_], factor: NDArray[np.float64], shops: dict[str, NDArray[Any]],
    generator: np.random.Generator, *, kind: int = -1,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    category = shops["category"][merchant]
    amount = (
        _AMOUNT[category]
        * card.level
        * factor
        * np.exp(generator.normal(0, 1, len(times)) * _SPREAD[category])
    )
    return {
        "card": np.full(len(times), card.number), "time": times, "amount": np.maximum(np.round(amount, 2), 0.5),
        "merchant": merchant, "category": category, "country": country, "online": online,
        "kind": np.full(len(times), kind),
    }  # fmt: skip


def _table(rows: list[dict[str, NDArray[Any]]], shops: dict[str, NDArray[Any]]) -> pa.Table:
    flat = {name: np.concatenate([one[name] for one in rows]) for name in rows[0]}
    order = np.argsort(flat["time"], kind="stable")
    flat = {name: values[order] for name, values in flat.items()}
    stamps = _START + (flat["time"] * 1e6).astype("timedelta64[us]")
    kinds = np.array([*KINDS, "normal"])
    return pa.table(
        {
            "card": [f"card {number:05d}" for number in flat["card"].tolist()],
            "time": pa.array(stamps, pa.timestamp("us")),
            "amount": flat["amount"],
            "hour": flat["time"] % _DAY / 3600,
            "merchant": [f"merchant {number:03d}" for number in flat["merchant"].tolist()],
            "category": np.array(_CATEGORIES)[flat["category"]].tolist(),
            "country": np.array(_COUNTRIES)[flat["country"]].tolist(),
            "entry": np.where(flat["online"], "online", "chip").tolist(),
            "label": kinds[flat["kind"]].tolist(),
            "synthetic": np.ones(len(order), dtype=bool),
        }
    )
