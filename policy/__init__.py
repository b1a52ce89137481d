"""The rules that every resource of a stack keeps, as pure functions."""
