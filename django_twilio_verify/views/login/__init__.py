"""Pages of a login: the challenge, step-up, trusted browsers, the grace period."""
