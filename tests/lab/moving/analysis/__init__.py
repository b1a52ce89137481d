"""A judge that knows the answer: it stands in for the real one where only traffic is tried."""
