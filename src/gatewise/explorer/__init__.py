"""The interactive page: a cell that can be stepped through, with its gates, states and gradient, in one HTML file.

Example:
    >>> from gatewise import explorer
    >>> html = explorer.page(explorer.of_cell("gru", hidden_size=3, steps=16))
"""

from gatewise.explorer.page import page
from gatewise.explorer.recording import Recorded, first_call
from gatewise.explorer.subject import Subject, of_cell, of_layer

__all__ = ["Recorded", "Subject", "first_call", "of_cell", "of_layer", "page"]
