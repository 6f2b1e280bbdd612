"""A PostgreSQL engine for our tests, which empties tables quickly between them."""
