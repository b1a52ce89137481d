"""The figures that the README states, each measured beside a named peer in the same run."""
