"""What public registries would give, built here and kept in the labs' image mirror."""

from lab.images.build import ensure

__all__ = ["ensure"]
