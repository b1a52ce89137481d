"""What a change does to every stack, told without an engine, a cluster, a cloud or a secret."""
