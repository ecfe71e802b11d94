"""Tables in, batches of series out; and public examples by name."""

from gatewise.data import examples
from gatewise.data.files import read_table, write_table
from gatewise.data.frequency import Frequency
from gatewise.data.panel import Panel, panel_from_array, panel_from_frame

__all__ = [
    "Frequency",
    "Panel",
    "examples",
    "panel_from_array",
    "panel_from_frame",
    "read_table",
    "write_table",
]
