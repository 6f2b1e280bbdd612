"""What comes in. SECURITY: none of these is ever an answer, so that no code is echoed."""

from __future__ import annotations

from rest_framework import serializers

TEXT = 8192


class PasswordSerializer(serializers.Serializer[None]):
    username = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)


class StartSerializer(serializers.Serializer[None]):
    """``disclosure``: the digest of the wording that the person agreed to, from the answer ``consent_required``."""

    login = serializers.CharField(max_length=TEXT)
    factor = serializers.IntegerField(min_value=1)
    channel = serializers.CharField(max_length=12)
    resend = serializers.BooleanField(default=False)
    disclosure = serializers.CharField(max_length=64, required=False)


class CheckSerializer(serializers.Serializer[None]):
    """One of ``code``, ``number``, ``credential``; ``recovery_code`` without ``verification``; or none, to ask whether
    the phone has answered.
    """

    login = serializers.CharField(max_length=TEXT)
    verification = serializers.UUIDField(required=False)
    code = serializers.CharField(max_length=100, required=False, trim_whitespace=False)
    number = serializers.CharField(max_length=10, required=False)
    credential = serializers.DictField(required=False)
    recovery_code = serializers.CharField(max_length=100, required=False)

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        answers = [name for name in ("code", "number", "credential", "recovery_code") if name in attrs]
        if len(answers) > 1:
            raise serializers.ValidationError("Give one answer.")
        if ("verification" in attrs) == ("recovery_code" in attrs):
            raise serializers.ValidationError("Give a verification, or a recovery code.")
        return attrs
