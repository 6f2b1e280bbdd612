"""Triggers that refuse UPDATE and DELETE on the consent ledger, on every database that we support.

They stop accidents, the ORM and the site's own SQL; they cannot stop who may drop them. TRUNCATE, ``DROP TABLE`` and so
``migrate twilio_verify zero`` still work. ``manage.py flush`` (with it ``TransactionTestCase``) deletes row by row on
SQLite and MySQL/MariaDB: there our ``flush`` command opens the gate that the triggers look at (``models/ledger.py``).

SQLite drops the triggers of a table that a later migration remakes: such a migration must run ``create`` again.
"""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

GATE_TABLE = "twilio_verify_ledgergate"
TABLES = (
    "twilio_verify_disclosure",
    "twilio_verify_consentevent",
    "twilio_verify_consentseal",
    "twilio_verify_auditevent",
    "twilio_verify_registeredkey",
)
_UNIQUE = {
    "twilio_verify_disclosure": ("digest",),
    "twilio_verify_consentevent": ("digest", "place"),
    "twilio_verify_consentseal": ("digest", "number"),
    "twilio_verify_auditevent": (),
    "twilio_verify_registeredkey": ("entry",),
}
"""The columns by which a new row can clash with one that stands, beside ``id``."""
REFUSAL = "django_twilio_verify: the consent ledger is append-only"


def _sqlite(table: str, verb: str) -> list[str]:
    when = f"NOT EXISTS (SELECT 1 FROM {GATE_TABLE})"  # noqa: S608  constants of this file
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} WHEN {when} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    ]


def _sqlite_replace(table: str) -> str:
    """SQLite fires no DELETE trigger for the row that ``INSERT OR REPLACE`` takes away."""
    same = " OR ".join(f"{column} = NEW.{column}" for column in ("id", *_UNIQUE[table]))
    when = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608  as above
    return (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {when} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    )


def _mysql(table: str, verb: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} FOR EACH ROW "
        f"BEGIN IF @twilio_verify_flush IS NULL THEN "
        f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{REFUSAL}'; END IF; END"
    ]


def _postgresql(table: str, verb: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION twilio_verify_append_only()"
    ]


def _before(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [f"CREATE TABLE IF NOT EXISTS {GATE_TABLE} (open INTEGER NOT NULL)"]
    if vendor == "postgresql":
        return [
            "CREATE OR REPLACE FUNCTION twilio_verify_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$"
        ]
    return []


_WRITERS = {"sqlite": _sqlite, "mysql": _mysql, "postgresql": _postgresql}


def _ours(schema_editor: BaseDatabaseSchemaEditor) -> list[str]:
    """The tables that stand in this database: a router may keep the ledger in another one."""
    existing = set(schema_editor.connection.introspection.table_names())
    return [table for table in TABLES if table in existing]


def create(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    tables = _ours(schema_editor)
    if vendor not in _WRITERS or not tables:
        return
    statements = _before(vendor)
    for table in tables:
        for verb in ("UPDATE", "DELETE"):
            statements += _WRITERS[vendor](table, verb)
        if vendor == "sqlite":
            statements.append(_sqlite_replace(table))
    for statement in statements:
        schema_editor.execute(statement, None)  # None: no interpolation of "%"


def drop(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor not in _WRITERS:
        return
    for table in _ours(schema_editor):
        for verb in ("update", "delete", "replace"):
            on = f" ON {table}" if vendor == "postgresql" else ""
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}{on}", None)
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS twilio_verify_append_only()", None)
    if vendor == "sqlite":
        schema_editor.execute(f"DROP TABLE IF EXISTS {GATE_TABLE}", None)


class Migration(migrations.Migration):
    dependencies = [("twilio_verify", "0001_initial")]
    # SECURITY: the hint makes a router send this where it sends the ledger. Asked for the app alone, one that keeps
    # other tables out of the ledger's database says no, and the ledger would stand there without its triggers.
    operations = [migrations.RunPython(create, drop, atomic=False, hints={"model_name": "consentevent"})]
