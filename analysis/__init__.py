"""The canary's judge: a new model version beside the one that serves, over the same minutes."""
