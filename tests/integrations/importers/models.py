"""People with a phone of their own, as such sites have them."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    phone = models.CharField(max_length=30, blank=True)
