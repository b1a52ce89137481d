"""A stack on a lab of its own, whose releases move under load."""
