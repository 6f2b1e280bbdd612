"""Where this app fits into others. Each room is an app of its own, and imports the one that it is for."""
