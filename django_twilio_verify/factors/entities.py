"""Who people are to the provider that keeps their factors."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..models import Entity


def entity_for(user: AbstractBaseUser, backend: str) -> Entity:
    """The entity of ``user`` at ``backend``, made if there is none: of simultaneous calls all get the same one.

    The provider hears of it with the first factor. SECURITY: the identity is random and stays the same; nothing of the
    person goes into it.
    """
    entity, _ = Entity.objects.get_or_create(user_id=user.pk, backend=backend, defaults={"created_at": timezone.now()})
    return entity
