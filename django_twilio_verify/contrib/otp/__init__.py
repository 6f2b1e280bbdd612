"""A device of django-otp for each factor: its decorators and its admin site agree with the wall."""
