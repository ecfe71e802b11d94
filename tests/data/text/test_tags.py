"""Tags of spans: valid or not, converted, and counted as conlleval counts them."""

from __future__ import annotations

import itertools
import random

import pytest

from gatewise.data.text.tags import (
    Span,
    allowed_moves,
    check_tags,
    convert_tags,
    find_fault,
    find_scheme,
    spans,
    tags_of_spans,
)
from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.tagging.scores import TagCounts, count_tags


class Conlleval:
    """The counting loop of conlleval.pl (Tjong Kim Sang 2004), statement by statement, as an oracle.

    It runs over a stream of (right tag, said tag) with a boundary after each sentence, and knows no lists of spans.
    """

    def __init__(self) -> None:
        self.correct = self.found_right = self.found_said = 0
        self.in_correct = False
        self.last_right, self.last_right_type = "O", ""
        self.last_said, self.last_said_type = "O", ""

    def line(self, right: str, said: str) -> None:
        right_tag, right_type = self.parted(right)
        said_tag, said_type = self.parted(said)
        if self.in_correct:
            ends_right = self.end(self.last_right, right_tag, self.last_right_type, right_type)
            ends_said = self.end(self.last_said, said_tag, self.last_said_type, said_type)
            if ends_right and ends_said and self.last_said_type == self.last_right_type:
                self.in_correct = False
                self.correct += 1
            elif ends_right != ends_said or said_type != right_type:
                self.in_correct = False
        begins_right = self.start(self.last_right, right_tag, self.last_right_type, right_type)
        begins_said = self.start(self.last_said, said_tag, self.last_said_type, said_type)
        if begins_right and begins_said and said_type == right_type:
            self.in_correct = True
        self.found_right += begins_right
        self.found_said += begins_said
        self.last_right, self.last_right_type = right_tag, right_type
        self.last_said, self.last_said_type = said_tag, said_type

    def finish(self) -> tuple[int, int, int]:
        self.line("O", "O")
        return self.correct, self.found_said, self.found_right

    @staticmethod
    def parted(tag: str) -> tuple[str, str]:
        mark, _, kind = tag.partition("-")
        return mark, kind

    @staticmethod
    def end(before: str, tag: str, before_type: str, own_type: str) -> bool:
        pairs = {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O"), ("E", "E"), ("E", "I"), ("E", "O")}
        return (before, tag) in pairs or (before != "O" and before_type != own_type)

    @staticmethod
    def start(before: str, tag: str, before_type: str, own_type: str) -> bool:
        pairs = {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I"), ("E", "E"), ("E", "I"), ("O", "E")}
        return (before, tag) in pairs or (tag != "O" and before_type != own_type)


def test_counts_are_conlleval_s_on_any_tags() -> None:
    generator = random.Random(0)
    for _ in range(1000):
        length = generator.randint(1, 8)
        choices = ["O", "B-A", "I-A", "B-B", "I-B"]
        right = [generator.choice(choices) for _ in range(length)]
        said = [one if generator.random() < 0.6 else generator.choice(choices) for one in right]
        oracle = Conlleval()
        for pair in zip(right, said, strict=True):
            oracle.line(*pair)
        counts = count_tags(right, said)
        assert (counts.right, counts.found, counts.came) == oracle.finish(), (right, said)


@pytest.mark.parametrize(
    ("right", "said", "expected"),
    [
        ("B-A I-A O", "B-A I-A O", (1, 1, 1)),
        ("B-A I-A O", "B-A O O", (0, 1, 1)),  # the end is wrong
        ("B-A I-A O", "B-B I-B O", (0, 1, 1)),  # the kind is wrong
        ("B-A I-A O", "I-A I-A O", (1, 1, 1)),  # an I- after O begins a span
        ("B-A B-A O", "B-A I-A O", (0, 1, 2)),  # two, not one
        ("O O O", "B-A O O", (0, 1, 0)),
        ("B-A I-B O", "B-A B-B O", (2, 2, 2)),  # another kind begins a span
        ("S-A O O", "B-A O O", (1, 1, 1)),
        ("B-A E-A O", "B-A I-A O", (1, 1, 1)),
    ],
)
def test_hand_made_cases(right, said, expected) -> None:
    counts = count_tags(right.split(), said.split())
    assert (counts.right, counts.found, counts.came) == expected


def test_f1_is_of_all_sentences_together_and_0_of_nothing() -> None:
    first = count_tags(["B-A", "O"], ["B-A", "B-A"])
    second = count_tags(["B-A", "B-B"], ["O", "O"])
    total = TagCounts.of([first, second])
    assert (total.precision, total.recall, total.f1) == (0.5, pytest.approx(1 / 3), pytest.approx(0.4))
    assert total.accuracy == 0.25
    assert count_tags(["O"], ["O"]).f1 == 0
    assert TagCounts.of([]).f1 == 0


def every_valid(scheme: str, length: int) -> list[list[str]]:
    """All valid sentences of one length with two kinds, found by laying spans side by side."""
    kinds = ["", "A", "B"]
    found = {tuple(["O"] * length)}
    for cuts in itertools.product([False, True], repeat=length - 1):
        ends = [place + 1 for place, cut in enumerate(cuts) if cut] + [length]
        begins = [0, *ends[:-1]]
        for names in itertools.product(kinds, repeat=len(ends)):
            own = [Span(*one) for one in zip(begins, ends, names, strict=True) if one[2]]
            found.add(tuple(tags_of_spans(own, length, scheme)))
    return [list(one) for one in sorted(found)]


@pytest.mark.parametrize("scheme", ["iob1", "bio", "bioes"])
def test_valid_is_what_spans_can_make_and_nothing_else(scheme) -> None:
    marks = {"iob1": "IB", "bio": "IB", "bioes": "IBES"}[scheme]
    tags = ["O", *(f"{mark}-{kind}" for mark in marks for kind in "AB")]
    moves, first, last = allowed_moves(tags, scheme)
    place = {tag: index for index, tag in enumerate(tags)}
    for length in (1, 2, 3):
        valid = {tuple(one) for one in every_valid(scheme, length)}
        for own in itertools.product(tags, repeat=length):
            is_valid = own in valid
            assert (find_fault(own, scheme) is None) == is_valid, own
            codes = [place[tag] for tag in own]
            kept = (
                first[codes[0]] and last[codes[-1]] and all(moves[a, b] for a, b in itertools.pairwise(codes))
            )
            assert kept == is_valid, own


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(["iob1", "bio", "bioes"], 2)))
def test_converting_there_and_back_changes_nothing(source, target) -> None:
    for own in every_valid(source, 4):
        other = convert_tags(own, source, target)
        check_tags(other, target)
        assert spans(other) == spans(own)
        assert convert_tags(other, target, source) == own


def test_the_scheme_is_found() -> None:
    assert find_scheme([["I-A", "B-A"], ["O"]]) == "iob1"
    assert find_scheme([["B-A", "I-A"], ["O"]]) == "bio"
    assert find_scheme([["S-A", "O"]]) == "bioes"
    assert find_scheme([["B-A", "I-A"], ["S-A", "I-A"]]) is None


@pytest.mark.parametrize(
    ("tags", "scheme", "words"),
    [
        (
            ["O", "I-A"],
            "bio",
            "here, word 2: the tag 'I-A' after 'O' is not valid in bio: I- stands only after B-",
        ),
        (["I-A"], "bio", "here, word 1: the tag 'I-A' after the sentence's beginning"),
        (["B-A"], "iob1", "B- stands only after a tag of the same kind"),
        (["B-A"], "bioes", "at the sentence's end is not valid in bioes"),
        (["S-A", "E-A"], "bioes", "word 2: the tag 'E-A' after 'S-A'"),
        (["S-A"], "bio", "the tag 'S-A' is none of bio, which has O and B, I"),
        (["NN"], "bio", "marks no span"),
        (["B-"], "bio", "marks no span"),
    ],
)
def test_a_sequence_that_is_not_valid_is_refused(tags, scheme, words) -> None:
    with pytest.raises(DataError) as caught:
        check_tags(tags, scheme, "here")
    assert words in str(caught.value)


def test_what_cannot_be_marked() -> None:
    with pytest.raises(ArgumentError, match="none over another"):
        tags_of_spans([Span(0, 2, "A"), Span(1, 3, "B")], 3)
    with pytest.raises(ArgumentError, match="scheme: one of"):
        convert_tags(["O"], "bilou", "bio")
