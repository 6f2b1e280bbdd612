"""What the provider calls by itself."""
