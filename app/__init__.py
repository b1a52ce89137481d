"""The model's own road: data, features, training, registration, serving. No pulumi in it."""
