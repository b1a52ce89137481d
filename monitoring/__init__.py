"""What is watched, and what is said of it: metrics, rules, routes and screens, as data."""
