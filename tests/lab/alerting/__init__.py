"""What alert rules are tested with: cases, mutants, and promtool."""
