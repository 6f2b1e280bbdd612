"""Counting events in the database, and refusing those over a limit."""
