"""Stacks without a cluster: real engine, store, registry and commands; a model is three objects."""

PARTS = ("template", "route", "served")
"""The objects of a model in its stack's bucket, in the order in which an update changes them."""
