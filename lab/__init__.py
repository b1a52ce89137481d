"""The embedded cloud: a real engine, a real Kubernetes and emulated AWS on one machine."""
