"""A device of django-otp for each factor: ``is_verified()``, ``otp_required`` and its admin site agree with the wall."""
