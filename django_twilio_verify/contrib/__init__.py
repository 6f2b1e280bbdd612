"""What fits other apps that a site may have. Each is an app of its own, and nothing outside imports them."""
