"""What reports are made of: the HTML page, the pictures' style, text tables, learning curves, machine and versions."""
