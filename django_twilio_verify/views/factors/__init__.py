"""Pages on which users enroll, manage and are asked for their factors."""
