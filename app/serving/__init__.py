"""The model's server: it imports nothing that trains."""
