"""django-allauth: phones verified through Verify, in its pages and headless."""
