"""Pictures of reports as files of their own."""

from __future__ import annotations

import base64
import re
import struct

import pytest

from gatewise.errors import StoreError
from gatewise.report.canvas import canvas
from gatewise.report.pictures import kept_pictures, picture, picture_pdf, write_pictures


def drawn(height=2.0):
    with canvas(3.0, height) as (figure, axes):
        axes.plot([1, 2, 3], [3, 1, 2])
        axes.set_title("Loss")
    return figure


def test_a_page_s_pictures_become_files_in_its_order(tmp_path) -> None:
    figures = [drawn(), drawn(1.5), drawn(1.0)]
    texts = ["adding, 5 steps: learning curves", "Loss & more", "adding, 5 steps: learning curves"]
    before = picture(figures[0], "before")
    with kept_pictures() as kept:
        shown = [picture(figure, text) for figure, text in zip(figures, texts, strict=True)]
    picture(figures[0], "after")
    assert kept == list(zip(texts, figures, strict=True))
    names = write_pictures(kept, tmp_path / "new" / "figures")
    assert names == ["adding-5-steps-learning-curves", "loss-more", "adding-5-steps-learning-curves-2"]
    found = sorted(one.name for one in (tmp_path / "new" / "figures").iterdir())
    assert found == sorted(f"{name}.{form}" for name in names for form in ("pdf", "png"))
    for name, figure in zip(names, figures, strict=True):
        png = (tmp_path / "new" / "figures" / f"{name}.png").read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        assert (width, height) == tuple(round(160 * inches) for inches in figure.get_size_inches())
    assert shown[0] == before.replace("before", texts[0])  # keeping a picture changes nothing of it


def test_a_pdf_is_the_same_every_time_and_its_letters_are_truetype(tmp_path) -> None:
    first = picture_pdf(drawn())
    assert first.startswith(b"%PDF")
    assert first == picture_pdf(drawn())
    assert b"/FontFile2" in first
    assert b"/Type3" not in first
    assert b"CreationDate" not in first


def test_a_picture_in_a_page_is_vectors() -> None:
    encoded = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', picture(drawn(), "Loss"))
    assert encoded is not None
    assert b"<svg" in base64.b64decode(encoded[1])


def test_a_text_without_latin_letters_and_an_endless_one_have_names(tmp_path) -> None:
    names = write_pictures([("Σ", drawn()), ("é", drawn()), ("a " * 200, drawn())], tmp_path)
    assert names[:2] == ["picture", "picture-2"]
    assert 70 < len(names[2]) <= 80


def test_a_file_in_the_folder_s_place_is_named(tmp_path) -> None:
    (tmp_path / "taken").write_text("here")
    with pytest.raises(StoreError, match="taken"):
        write_pictures([("Loss", drawn())], tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "here"
