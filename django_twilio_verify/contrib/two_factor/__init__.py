"""Methods for django-two-factor-auth: its own setup and login views send and judge codes through Verify."""
