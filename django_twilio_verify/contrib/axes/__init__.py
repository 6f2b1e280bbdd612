"""A person whom django-axes has locked out answers no second factor either."""
