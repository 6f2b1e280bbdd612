# The tables. Made by makemigrations; the triggers of the ledger are in the next one.

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import django_twilio_verify.models.provider_entity


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AttemptSync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.CharField(max_length=64, unique=True, verbose_name="backend")),
                ("done_until", models.DateTimeField(null=True, verbose_name="read until")),
                ("window_start", models.DateTimeField(null=True, verbose_name="reads from")),
                ("window_end", models.DateTimeField(null=True, verbose_name="reads until")),
                ("page", models.CharField(blank=True, editable=False, max_length=1000)),
                ("leased_until", models.DateTimeField(null=True, verbose_name="held until")),
                ("lease", models.CharField(blank=True, max_length=36, verbose_name="held by")),
            ],
            options={
                "verbose_name": "attempt synchronisation",
                "verbose_name_plural": "attempt synchronisations",
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("unmasked", "shown unmasked"),
                            ("exported", "exported"),
                            ("erased", "erased"),
                            ("purged", "purged by retention"),
                            ("held", "legal hold set"),
                            ("released", "legal hold released"),
                            ("opt_released", "opt-out released"),
                            ("rotated", "keys rotated"),
                            ("reset_asked", "reset of factors requested"),
                            ("reset_halted", "reset of factors canceled"),
                            ("reset_done", "factors reset"),
                            ("reset_link", "enrollment link sent again"),
                            ("reset_opened", "enrollment link opened"),
                            ("acted_as", "acted as another user"),
                            ("external", "factor verified by another app"),
                            ("acting_over", "stopped acting as another user"),
                        ],
                        max_length=12,
                        verbose_name="what",
                    ),
                ),
                ("actor_label", models.CharField(max_length=150, verbose_name="by")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                (
                    "recipient_fingerprint",
                    models.CharField(blank=True, db_index=True, max_length=56, verbose_name="recipient"),
                ),
                ("details", models.TextField(default="{}", verbose_name="details")),
                ("occurred_at", models.DateTimeField(db_index=True, verbose_name="time")),
            ],
            options={
                "verbose_name": "audit event",
                "verbose_name_plural": "audit events",
            },
        ),
        migrations.CreateModel(
            name="ConsentEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("granted", "granted"),
                            ("granted_once", "granted for one message"),
                            ("renewed", "renewed"),
                            ("withdrawn", "withdrawn"),
                            ("opted_out", "opted out"),
                            ("expired", "expired"),
                            ("imported", "imported"),
                            ("invalidated", "invalidated"),
                            ("released", "opt-out released"),
                        ],
                        max_length=12,
                        verbose_name="event",
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="way",
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("enroll", "enroll a factor"),
                            ("login", "sign in"),
                            ("step_up", "confirm it is you"),
                            ("verify", "prove an address without an account"),
                            ("payment", "approve a payment"),
                        ],
                        max_length=12,
                        verbose_name="purpose",
                    ),
                ),
                ("language", models.CharField(blank=True, max_length=16, verbose_name="language")),
                (
                    "medium",
                    models.CharField(
                        choices=[
                            ("web", "web page"),
                            ("api", "site's own code"),
                            ("import", "import"),
                            ("admin", "recorded by staff"),
                            ("provider", "reported by the provider"),
                        ],
                        max_length=12,
                        verbose_name="medium",
                    ),
                ),
                ("control", models.CharField(blank=True, max_length=32, verbose_name="control")),
                ("control_default", models.BooleanField(default=False, verbose_name="control was set beforehand")),
                ("control_final", models.BooleanField(default=False, verbose_name="control was set in the end")),
                ("button_label", models.CharField(blank=True, max_length=80, verbose_name="button")),
                (
                    "person_kind",
                    models.CharField(
                        choices=[("user", "account"), ("session", "visitor"), ("holder", "whoever holds the address")],
                        max_length=8,
                        verbose_name="person known by",
                    ),
                ),
                ("person_fingerprint", models.CharField(max_length=56, verbose_name="person")),
                (
                    "recipient_kind",
                    models.CharField(
                        choices=[("phone", "phone number"), ("email", "email address")],
                        max_length=8,
                        verbose_name="kind of address",
                    ),
                ),
                ("recipient_fingerprint", models.CharField(max_length=56, verbose_name="recipient")),
                ("country", models.CharField(blank=True, max_length=2, verbose_name="country")),
                ("occurred_at", models.DateTimeField(verbose_name="time")),
                (
                    "actor",
                    models.CharField(
                        choices=[
                            ("person", "the person"),
                            ("staff", "staff"),
                            ("provider", "the provider"),
                            ("system", "the site itself"),
                        ],
                        default="person",
                        max_length=8,
                        verbose_name="done by",
                    ),
                ),
                ("actor_fingerprint", models.CharField(blank=True, max_length=56, verbose_name="done by whom")),
                ("origin", models.CharField(blank=True, max_length=64, verbose_name="origin")),
                (
                    "document_digest",
                    models.CharField(blank=True, max_length=64, verbose_name="SHA-256 of the document"),
                ),
                ("received_at", models.DateTimeField(null=True, verbose_name="request received")),
                ("honour_by", models.DateTimeField(null=True, verbose_name="to be honoured by")),
                ("honoured_at", models.DateTimeField(null=True, verbose_name="honoured")),
                ("record_version", models.PositiveSmallIntegerField(verbose_name="record format")),
                ("commitment", models.CharField(max_length=64, verbose_name="commitment")),
                ("digest", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("place", models.CharField(editable=False, max_length=40, null=True)),
                (
                    "previous",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="twilio_verify.consentevent",
                        verbose_name="follows from",
                    ),
                ),
            ],
            options={
                "verbose_name": "consent event",
                "verbose_name_plural": "consent events",
                "permissions": [
                    ("view_unmasked", "Can see evidence unmasked"),
                    ("export_evidence", "Can export evidence"),
                    ("erase_evidence", "Can erase evidence"),
                    ("release_opt_out", "Can release opt-outs"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConsentSeal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveBigIntegerField(unique=True, verbose_name="number")),
                ("first_event", models.BigIntegerField(verbose_name="first event")),
                ("last_event", models.BigIntegerField(verbose_name="last event")),
                ("late", models.TextField(blank=True, verbose_name="late events")),
                ("gaps", models.TextField(blank=True, verbose_name="unused numbers")),
                ("count", models.PositiveBigIntegerField(verbose_name="events")),
                ("root", models.CharField(max_length=64, verbose_name="Merkle root")),
                ("previous_digest", models.CharField(blank=True, max_length=64, verbose_name="previous seal")),
                ("created_at", models.DateTimeField(verbose_name="sealed")),
                ("record_version", models.PositiveSmallIntegerField(verbose_name="record format")),
                ("algorithm", models.CharField(max_length=16, verbose_name="signature algorithm")),
                ("key_id", models.CharField(max_length=16, verbose_name="key")),
                ("digest", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("signature", models.CharField(max_length=128, verbose_name="signature")),
                ("timestamp_token", models.TextField(blank=True, verbose_name="RFC 3161 time-stamp, base64")),
            ],
            options={
                "verbose_name": "seal",
                "verbose_name_plural": "seals",
            },
        ),
        migrations.CreateModel(
            name="Disclosure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("record_version", models.PositiveSmallIntegerField(verbose_name="record format")),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="way",
                    ),
                ),
                ("language", models.CharField(max_length=16, verbose_name="language")),
                ("text", models.TextField(verbose_name="text as shown")),
                ("checkbox_label", models.TextField(verbose_name="label of the box")),
                ("terms_url", models.TextField(blank=True, verbose_name="terms")),
                ("terms_digest", models.CharField(blank=True, max_length=64, verbose_name="SHA-256 of the terms")),
                ("privacy_url", models.TextField(blank=True, verbose_name="privacy policy")),
                (
                    "privacy_digest",
                    models.CharField(blank=True, max_length=64, verbose_name="SHA-256 of the privacy policy"),
                ),
                ("first_used_at", models.DateTimeField(verbose_name="first used")),
            ],
            options={
                "verbose_name": "disclosure",
                "verbose_name_plural": "disclosures",
            },
        ),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("recipient_fingerprint", models.CharField(db_index=True, max_length=56, verbose_name="recipient")),
                ("reason", models.TextField(verbose_name="reason")),
                ("set_by", models.CharField(max_length=150, verbose_name="set by")),
                ("set_at", models.DateTimeField(verbose_name="set")),
                ("released_at", models.DateTimeField(null=True, verbose_name="released")),
            ],
            options={
                "verbose_name": "legal hold",
                "verbose_name_plural": "legal holds",
            },
        ),
        migrations.CreateModel(
            name="ProviderEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.CharField(max_length=64, unique=True, verbose_name="event")),
                ("kind", models.CharField(max_length=128, verbose_name="type")),
                ("backend", models.CharField(max_length=64, verbose_name="backend")),
                (
                    "verification_sid",
                    models.CharField(blank=True, db_index=True, max_length=34, verbose_name="verification SID"),
                ),
                ("attempt_sid", models.CharField(blank=True, max_length=34, verbose_name="attempt SID")),
                ("happened_at", models.DateTimeField(null=True, verbose_name="happened")),
                ("received_at", models.DateTimeField(db_index=True, verbose_name="received")),
                ("applied", models.BooleanField(default=False, verbose_name="applied")),
            ],
            options={
                "verbose_name": "provider event",
                "verbose_name_plural": "provider events",
            },
        ),
        migrations.CreateModel(
            name="ChannelOutage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.CharField(max_length=64, verbose_name="backend")),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="way",
                    ),
                ),
                ("error_code", models.PositiveIntegerField(verbose_name="provider's error")),
                ("seen_at", models.DateTimeField(verbose_name="seen")),
                ("until", models.DateTimeField(verbose_name="not offered until")),
            ],
            options={
                "verbose_name": "channel outage",
                "verbose_name_plural": "channel outages",
                "constraints": [models.UniqueConstraint(fields=("backend", "channel"), name="tv_outage_once")],
            },
        ),
        migrations.CreateModel(
            name="ConsentEvidence",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="evidence",
                        serialize=False,
                        to="twilio_verify.consentevent",
                        verbose_name="event",
                    ),
                ),
                ("salt", models.CharField(max_length=64)),
                ("recipient", models.CharField(max_length=254, verbose_name="recipient")),
                ("person_label", models.CharField(blank=True, max_length=150, verbose_name="person")),
                ("ip", models.GenericIPAddressField(null=True, verbose_name="IP address")),
                ("user_agent", models.TextField(blank=True, verbose_name="browser")),
                ("page", models.TextField(blank=True, verbose_name="page")),
                ("actor_label", models.CharField(blank=True, max_length=150, verbose_name="done by")),
                ("note", models.TextField(blank=True, verbose_name="words or reason")),
            ],
            options={
                "verbose_name": "consent evidence",
                "verbose_name_plural": "consent evidence",
            },
        ),
        migrations.AddField(
            model_name="consentevent",
            name="disclosure",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="twilio_verify.disclosure",
                verbose_name="disclosure",
            ),
        ),
        migrations.CreateModel(
            name="Entity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.CharField(max_length=64, verbose_name="backend")),
                (
                    "identity",
                    models.CharField(
                        default=django_twilio_verify.models.provider_entity.new_identity,
                        editable=False,
                        max_length=36,
                        unique=True,
                        verbose_name="identity",
                    ),
                ),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("compared_at", models.DateTimeField(db_index=True, null=True, verbose_name="compared")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twilio_entities",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "entity",
                "verbose_name_plural": "entities",
            },
        ),
        migrations.CreateModel(
            name="Factor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("phone", "phone"),
                            ("email", "email"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("passkey", "passkey"),
                        ],
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="preferred way",
                    ),
                ),
                ("key", models.CharField(db_index=True, editable=False, max_length=64)),
                ("recipient_value", models.CharField(blank=True, max_length=254, verbose_name="recipient")),
                ("sid", models.CharField(blank=True, max_length=34, verbose_name="factor SID")),
                ("platform", models.CharField(blank=True, max_length=4, verbose_name="platform")),
                ("digits", models.PositiveSmallIntegerField(default=0, verbose_name="digits of a code")),
                ("credential_digest", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("used_answers", models.JSONField(blank=True, default=list, editable=False)),
                ("lost_at", models.DateTimeField(null=True, verbose_name="lost at the provider")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="consecutive failures")),
                ("failures_told", models.PositiveSmallIntegerField(default=0, editable=False)),
                ("held_at", models.DateTimeField(null=True, verbose_name="held")),
                ("line_type", models.CharField(blank=True, max_length=20, verbose_name="kind of line")),
                ("label", models.CharField(blank=True, max_length=64, verbose_name="name")),
                ("created_at", models.DateTimeField(verbose_name="enrolled")),
                ("confirmed_at", models.DateTimeField(null=True, verbose_name="confirmed")),
                ("last_used_at", models.DateTimeField(null=True, verbose_name="last used")),
                ("chosen_at", models.DateTimeField(editable=False, null=True)),
                (
                    "default_for",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="default for",
                    ),
                ),
                (
                    "entity",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="factors",
                        to="twilio_verify.entity",
                        verbose_name="entity",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twilio_factors",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "base_manager_name": "objects",
                "verbose_name": "factor",
                "verbose_name_plural": "factors",
            },
        ),
        migrations.CreateModel(
            name="FactorReset",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=500, verbose_name="reason")),
                ("cancel_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("requested_at", models.DateTimeField(verbose_name="requested")),
                ("due_at", models.DateTimeField(db_index=True, verbose_name="due")),
                ("canceled_at", models.DateTimeField(null=True, verbose_name="canceled")),
                ("done_at", models.DateTimeField(null=True, verbose_name="done")),
                ("by_command", models.BooleanField(default=False, verbose_name="by command")),
                ("released_at", models.DateTimeField(null=True, verbose_name="new factor")),
                ("password_digest", models.CharField(blank=True, editable=False, max_length=64)),
                ("link_template", models.CharField(blank=True, editable=False, max_length=500)),
                ("link_digest", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("link_expires_at", models.DateTimeField(null=True, verbose_name="link expires")),
                ("link_opened_at", models.DateTimeField(null=True, verbose_name="link opened")),
                ("opened_by", models.CharField(blank=True, editable=False, max_length=56)),
                (
                    "held_for",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="waits for the link",
                    ),
                ),
                (
                    "pending_for",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="under way for",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="requested by",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twilio_factor_resets",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "base_manager_name": "objects",
                "verbose_name": "reset of factors",
                "verbose_name_plural": "resets of factors",
                "permissions": [("reset_factors", "Can have a person's factors reset")],
            },
        ),
        migrations.CreateModel(
            name="FingerprintAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("current", models.CharField(db_index=True, max_length=56)),
                ("earlier", models.CharField(max_length=56)),
            ],
            options={
                "verbose_name": "fingerprint alias",
                "verbose_name_plural": "fingerprint aliases",
                "constraints": [models.UniqueConstraint(fields=("earlier", "current"), name="tv_alias_once")],
            },
        ),
        migrations.CreateModel(
            name="RegisteredKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_id", models.CharField(max_length=12, verbose_name="key")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("writes", "records are written with it"),
                            ("closed", "no more records are written with it"),
                            ("rotated", "its rotation is complete"),
                            ("lost", "its secret was given up as lost"),
                        ],
                        max_length=8,
                        verbose_name="record",
                    ),
                ),
                ("check_value", models.CharField(blank=True, max_length=64, verbose_name="check value")),
                ("entry", models.CharField(editable=False, max_length=24, unique=True)),
                ("recorded_at", models.DateTimeField(verbose_name="time")),
            ],
            options={
                "verbose_name": "registered key",
                "verbose_name_plural": "registered keys",
            },
        ),
        migrations.CreateModel(
            name="LimitCounter",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("count", models.PositiveIntegerField(default=0)),
                ("previous", models.PositiveIntegerField(default=0)),
                ("since", models.DateTimeField()),
                ("locked_out_since", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "limit counter",
                "indexes": [models.Index(fields=["since"], name="tv_limit_since")],
            },
        ),
        migrations.CreateModel(
            name="RecipientLock",
            fields=[
                ("key", models.CharField(max_length=56, primary_key=True, serialize=False)),
                ("turns", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "recipient lock",
            },
        ),
        migrations.CreateModel(
            name="OptOutAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("recipient_fingerprint", models.CharField(max_length=56)),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                    ),
                ),
                ("count", models.PositiveIntegerField(default=1)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "attempt against an opt-out",
                "verbose_name_plural": "attempts against opt-outs",
                "constraints": [
                    models.UniqueConstraint(fields=("recipient_fingerprint", "channel"), name="tv_opt_out_attempt_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="KnownNetwork",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "known network",
                "indexes": [models.Index(fields=["seen_at"], name="tv_network_seen")],
            },
        ),
        migrations.CreateModel(
            name="ProviderRemoval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("backend", models.CharField(max_length=64, verbose_name="backend")),
                ("identity", models.CharField(max_length=36, verbose_name="identity")),
                ("factor_sid", models.CharField(blank=True, max_length=34, verbose_name="factor SID")),
                ("created_at", models.DateTimeField(verbose_name="removed here")),
                ("tries", models.PositiveIntegerField(default=0, verbose_name="tries")),
                ("next_try_at", models.DateTimeField(db_index=True, verbose_name="next try from")),
                ("last_error_code", models.PositiveIntegerField(null=True, verbose_name="provider's error")),
            ],
            options={
                "verbose_name": "outstanding removal",
                "verbose_name_plural": "outstanding removals",
                "constraints": [
                    models.UniqueConstraint(fields=("backend", "identity", "factor_sid"), name="tv_removal_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("selector", models.CharField(max_length=8)),
                ("verifier", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("used_at", models.DateTimeField(null=True, verbose_name="used")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twilio_recovery_codes",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "recovery code",
                "verbose_name_plural": "recovery codes",
            },
        ),
        migrations.CreateModel(
            name="TrustedBrowser",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("setup", models.CharField(editable=False, max_length=64)),
                ("browser", models.CharField(blank=True, max_length=64, verbose_name="browser")),
                ("ip", models.GenericIPAddressField(null=True, verbose_name="address")),
                ("created_at", models.DateTimeField(verbose_name="trusted since")),
                ("last_used_at", models.DateTimeField(verbose_name="last used")),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="trusted until")),
                ("revoked_at", models.DateTimeField(null=True, verbose_name="revoked")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="twilio_trusted_browsers",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "trusted browser",
                "verbose_name_plural": "trusted browsers",
            },
        ),
        migrations.CreateModel(
            name="UserState",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="twilio_user_state",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                ("grace_started_at", models.DateTimeField(null=True, verbose_name="grace period started")),
                ("sessions_ended_at", models.DateTimeField(null=True, verbose_name="sessions ended")),
                ("suggestion_dismissed_at", models.DateTimeField(null=True, verbose_name="suggestion dismissed")),
            ],
            options={
                "verbose_name": "account state",
                "verbose_name_plural": "account states",
            },
        ),
        migrations.CreateModel(
            name="Verification",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("session", models.CharField(blank=True, editable=False, max_length=56)),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("enroll", "enroll a factor"),
                            ("login", "sign in"),
                            ("step_up", "confirm it is you"),
                            ("verify", "prove an address without an account"),
                            ("payment", "approve a payment"),
                        ],
                        max_length=12,
                        verbose_name="purpose",
                    ),
                ),
                (
                    "recipient_kind",
                    models.CharField(
                        blank=True,
                        choices=[("phone", "phone number"), ("email", "email address")],
                        max_length=8,
                        verbose_name="kind of address",
                    ),
                ),
                ("recipient_value", models.CharField(blank=True, max_length=254, verbose_name="recipient")),
                ("recipient_fingerprint", models.CharField(blank=True, db_index=True, max_length=56)),
                ("country", models.CharField(blank=True, max_length=2, verbose_name="country")),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="way",
                    ),
                ),
                ("backend", models.CharField(default="default", max_length=64, verbose_name="backend")),
                ("sid", models.CharField(blank=True, db_index=True, max_length=128, verbose_name="verification SID")),
                (
                    "precedence",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "claimant"), (2, "owner, from a new network"), (3, "owner")],
                        default=3,
                        verbose_name="precedence",
                    ),
                ),
                ("withheld", models.BooleanField(default=False, verbose_name="withheld")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("approved", "approved"),
                            ("denied", "denied"),
                            ("canceled", "canceled"),
                            ("expired", "expired"),
                            ("max_attempts_reached", "too many tries"),
                            ("failed", "could not be sent"),
                        ],
                        default="pending",
                        max_length=24,
                        verbose_name="status",
                    ),
                ),
                ("pending_key", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("sends", models.PositiveSmallIntegerField(default=0, verbose_name="sends")),
                ("checks", models.PositiveSmallIntegerField(default=0, verbose_name="answers")),
                ("link_checks", models.PositiveSmallIntegerField(default=0, verbose_name="questions after the link")),
                ("created_at", models.DateTimeField(verbose_name="started")),
                ("expires_at", models.DateTimeField(verbose_name="expires")),
                ("resend_at", models.DateTimeField(verbose_name="next send from")),
                ("approved_at", models.DateTimeField(null=True, verbose_name="approved")),
                ("redeemed_at", models.DateTimeField(null=True, verbose_name="used")),
                ("amount", models.CharField(blank=True, max_length=32, verbose_name="amount")),
                ("payee", models.CharField(blank=True, max_length=128, verbose_name="payee")),
                ("link", models.CharField(blank=True, editable=False, max_length=2000)),
                ("code_digest", models.CharField(blank=True, editable=False, max_length=128)),
                ("has_custom_code", models.BooleanField(default=False, editable=False)),
                ("line_type", models.CharField(blank=True, max_length=20, verbose_name="kind of line")),
                ("browser_options", models.TextField(blank=True, editable=False)),
                ("match_number", models.CharField(blank=True, editable=False, max_length=2)),
                ("matched_at", models.DateTimeField(null=True, verbose_name="number matched")),
                ("poll_after", models.DateTimeField(editable=False, null=True)),
                ("checking_until", models.DateTimeField(editable=False, null=True)),
                (
                    "factor",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="verifications",
                        to="twilio_verify.factor",
                        verbose_name="factor",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="twilio_verifications",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "base_manager_name": "objects",
                "verbose_name": "verification",
                "verbose_name_plural": "verifications",
            },
        ),
        migrations.CreateModel(
            name="VerificationAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("sms", "text message"),
                            ("call", "phone call"),
                            ("whatsapp", "WhatsApp message"),
                            ("email", "email"),
                            ("sna", "silent network authentication"),
                            ("auto", "automatic"),
                            ("totp", "authenticator app"),
                            ("push", "push approval"),
                            ("silent", "silent device approval"),
                            ("passkey", "passkey"),
                            ("recovery", "recovery code"),
                        ],
                        max_length=12,
                        verbose_name="way asked for",
                    ),
                ),
                ("channel_used", models.CharField(blank=True, max_length=16, verbose_name="way used")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("reserved", "reserved"),
                            ("sent", "sent"),
                            ("perhaps_sent", "perhaps sent"),
                            ("refused", "refused"),
                            ("not_sent", "not sent"),
                            ("withheld", "withheld"),
                        ],
                        default="reserved",
                        max_length=12,
                        verbose_name="status",
                    ),
                ),
                ("sid", models.CharField(blank=True, db_index=True, max_length=128, verbose_name="attempt SID")),
                ("error_code", models.PositiveIntegerField(null=True, verbose_name="provider's error")),
                ("created_at", models.DateTimeField(verbose_name="reserved")),
                ("claimed_at", models.DateTimeField(null=True, verbose_name="handed to the provider")),
                ("settled_at", models.DateTimeField(null=True, verbose_name="settled")),
                ("delivery", models.CharField(blank=True, max_length=24, verbose_name="delivery")),
                ("delivery_at", models.DateTimeField(null=True, verbose_name="delivery known")),
                ("converted", models.BooleanField(null=True, verbose_name="converted")),
                ("price", models.DecimalField(decimal_places=5, max_digits=10, null=True, verbose_name="price")),
                ("currency", models.CharField(blank=True, max_length=3, verbose_name="currency")),
                (
                    "consent_event",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="attempts",
                        to="twilio_verify.consentevent",
                        verbose_name="consent relied on",
                    ),
                ),
                (
                    "verification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="twilio_verify.verification",
                        verbose_name="verification",
                    ),
                ),
            ],
            options={
                "verbose_name": "attempt",
                "verbose_name_plural": "attempts",
            },
        ),
        migrations.CreateModel(
            name="VerificationCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("approved", "approved"),
                            ("wrong", "wrong code"),
                            ("malformed", "not a code"),
                            ("already_approved", "already approved"),
                            ("expired", "expired"),
                            ("no_checks_left", "too many tries"),
                            ("closed", "no longer open"),
                            ("in_progress", "another answer is being checked"),
                            ("unanswered", "provider did not answer"),
                            ("not_opened", "link not opened yet"),
                            ("link_failed", "link confirmed nothing"),
                            ("wrong_answer_type", "answered another way than it was sent"),
                            ("payment_changed", "payment has changed"),
                            ("replayed", "code used before"),
                            ("waiting", "not answered yet"),
                            ("denied", "denied"),
                            ("factor_gone", "device not known any more"),
                            ("held", "blocked after too many wrong codes"),
                            ("too_soon", "asked to wait after wrong codes"),
                        ],
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                ("error_code", models.PositiveIntegerField(null=True, verbose_name="provider's error")),
                ("created_at", models.DateTimeField(verbose_name="time")),
                (
                    "verification",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="answers",
                        to="twilio_verify.verification",
                        verbose_name="verification",
                    ),
                ),
            ],
            options={
                "verbose_name": "answer",
                "verbose_name_plural": "answers",
            },
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(fields=["recipient_fingerprint", "channel", "-id"], name="tv_consent_recipient"),
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(
                fields=["recipient_fingerprint", "channel", "person_fingerprint", "-id"], name="tv_consent_decides"
            ),
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(
                fields=["recipient_fingerprint", "channel", "event", "-id"], name="tv_consent_everybody"
            ),
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(
                fields=["person_fingerprint", "recipient_fingerprint", "channel", "-id"], name="tv_consent_person"
            ),
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(fields=["occurred_at", "channel", "event", "country"], name="tv_consent_time"),
        ),
        migrations.AddIndex(
            model_name="consentevent",
            index=models.Index(fields=["honour_by", "honoured_at", "id"], name="tv_consent_deadline"),
        ),
        migrations.AddConstraint(
            model_name="consentevent",
            constraint=models.UniqueConstraint(fields=("place",), name="tv_consent_place"),
        ),
        migrations.AddConstraint(
            model_name="entity",
            constraint=models.UniqueConstraint(fields=("user", "backend"), name="tv_entity_once"),
        ),
        migrations.AddConstraint(
            model_name="factor",
            constraint=models.UniqueConstraint(fields=("user", "key"), name="tv_factor_once_a_person"),
        ),
        migrations.AddConstraint(
            model_name="factor",
            constraint=models.CheckConstraint(
                condition=models.Q(("default_for", None), ("default_for", models.F("user")), _connector="OR"),
                name="tv_factor_default_is_own",
            ),
        ),
        migrations.AddConstraint(
            model_name="factorreset",
            constraint=models.CheckConstraint(
                condition=models.Q(("pending_for", None), ("pending_for", models.F("user")), _connector="OR"),
                name="tv_reset_pending_is_own",
            ),
        ),
        migrations.AddConstraint(
            model_name="factorreset",
            constraint=models.CheckConstraint(
                condition=models.Q(("held_for", None), ("held_for", models.F("user")), _connector="OR"),
                name="tv_reset_held_is_own",
            ),
        ),
        migrations.AddConstraint(
            model_name="recoverycode",
            constraint=models.UniqueConstraint(fields=("user", "selector"), name="tv_recovery_selector"),
        ),
        migrations.AddIndex(
            model_name="verification",
            index=models.Index(fields=["created_at"], name="tv_verification_time"),
        ),
    ]
