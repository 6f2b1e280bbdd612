"""Pages of one verification: send, enter the code, open the link."""
