"""Reusable parts of the platform; they take values and never read configuration."""
