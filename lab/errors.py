"""The one error of the lab: what is wrong, where to look, what to do."""


class LabError(Exception):
    """Something the person must see; the message names the file or address and the remedy."""
