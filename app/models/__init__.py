"""One file for each model: what it predicts, from which features, out of which table."""
