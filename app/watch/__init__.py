"""The watch of one model: what it served, held against what was expected."""
