"""The stand-in for pulumi-kubernetes: ordinary objects and yaml/v2 components."""
