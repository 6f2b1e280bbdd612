"""A Verify Service made to be as it is declared: look, plan, carry out.

Nothing about the Service is kept here. Every run looks at what is there, finds it by its natural name, and does what is
left to do; so a run that was cut short, at whatever step, is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from ..backends.handler import backends
from ..backends.service import Administration, Kind, Progress, Refused, Resource, Value
from . import service_declaration

OUTSIDE_THE_API = (
    ("channels switched on and off", "Twilio Console"),
    ("Fraud Guard level", "Twilio Console"),
    ("Geo permissions", "Twilio Console"),
    ("email integration (SendGrid)", "Twilio Console"),
    ("how long a code lives: 10 minutes", "Twilio Support"),
    ("permission for PSD2", "Twilio Support"),
    ("message templates", "Twilio, on request"),
)
"""What decides about sends as well, and cannot be declared, shown or checked: Verify's API does not have it."""


NO_SERVICE = "twilio_verify.E011"
"""The system check of a ``service_sid``."""


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter. ``old``: ``None`` where there is no such thing yet, or Twilio says nothing of it."""

    name: str
    old: Value
    new: Value

    @property
    def shown(self) -> tuple[str, str]:
        """Both as text for a terminal. SECURITY: of an address without user, password and query, which are secrets."""
        old, new = shown(self.name, self.old), shown(self.name, self.new)
        return (old, f"{new} (other in what is not shown)") if old == new else (old, new)


@dataclass(frozen=True, slots=True)
class Step:
    """One request. ``resource``: what is to be there (``create``) or what is there."""

    action: Action
    resource: Resource
    changes: tuple[Change, ...] = ()

    @property
    def values(self) -> Mapping[str, Value]:
        return {one.name: one.new for one in self.changes}

    def __str__(self) -> str:
        return f"{self.action} {title(self.resource)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps``: in the order in which they are carried out. ``undeclared``: what is there and not declared, and stays.
    ``warnings``: sentences about what no step mends.
    """

    steps: tuple[Step, ...]
    undeclared: tuple[Resource, ...] = ()
    warnings: tuple[str, ...] = ()


def administration(alias: str, *, without_service: bool = False) -> Administration:
    """What sets up the Service of the backend ``alias``.

    ``without_service``: its ``service_sid`` may be missing. Raises ``ImproperlyConfigured`` for options that the system
    checks find wrong, and for a backend that has no Service.
    """
    backend = backends[alias]
    found = backend.administration()
    if found is None:
        raise ImproperlyConfigured(f"The backend {alias!r} has no Verify Service: it is no TwilioBackend.")
    if not found.service_sid and not without_service:
        raise ImproperlyConfigured(
            f"The backend {alias!r} has no service_sid. Make a Service: manage.py twilio_service create."
        )
    wrong = [one for one in backend.system_checks() if one.is_serious()]
    if not found.service_sid:
        wrong = [one for one in wrong if one.id != NO_SERVICE]
    if wrong:
        raise ImproperlyConfigured("\n".join(f"{one.msg} {one.hint or ''}".strip() for one in wrong))
    return found


def look(admin: Administration, progress: Progress = lambda count: None) -> list[Resource]:
    """What is there. Raises ``Refused`` and ``Unreachable``, in words that name the Service."""
    try:
        return admin.read(progress)
    except Refused as error:
        if error.status != 404:
            raise
        raise Refused(
            f"The account {admin.account_sid} has no Service {admin.service_sid} here: it is another account's, or "
            "another region's, or it was deleted. Look at service_sid, account_sid and region.",
            status=error.status,
            code=error.code,
        ) from None


def plan(alias: str, there: Sequence[Resource], *, prune: bool = False) -> Plan:
    """What it takes to make ``there`` as declared for ``alias``. Without ``there``, the Service itself is made.

    ``prune``: what is not declared is removed, last of all. Raises ``ImproperlyConfigured`` for a declaration that is
    wrong.
    """
    by_key: dict[object, Resource] = {}
    for one in there:
        by_key.setdefault(one.key, one)  # of webhooks of the same name the first is ours
    declared = [_placed(one, by_key.get((Kind.RATE_LIMIT, "", one.parent))) for one in declared_for(alias)]
    ours = {id(by_key[one.key]) for one in declared if one.key in by_key}
    extra = [one for one in there if id(one) not in ours and one.kind is not Kind.SERVICE]
    steps = [step for one in declared if (step := _step(by_key.get(one.key), one))]
    if prune:
        steps, extra = _replaced(steps, extra)
    undeclared = [one for one in extra if (Kind.RATE_LIMIT, "", one.parent) not in {limit.key for limit in extra}]
    removals = [Step(Action.REMOVE, one) for one in undeclared] if prune else []
    return Plan((*steps, *removals), () if prune else tuple(undeclared), tuple(_warnings(alias, declared, there)))


def declared_for(alias: str) -> list[Resource]:
    """What settings declare for ``alias``. Raises ``ImproperlyConfigured`` with everything that is wrong with it."""
    declared = service_declaration.of(alias) or {}
    found = service_declaration.problems(alias, declared)
    if found:
        sentences = "\n".join(f"{service_declaration.place(alias)}: {one.where}: {one.what}" for one in found)
        raise ImproperlyConfigured(sentences)
    return service_declaration.resources(alias, declared)


@dataclass(slots=True)
class Run:
    """Steps of one plan, carried out one by one. ``admin``: of the Service; once it is made, of the new one."""

    admin: Administration
    _made: dict[str, str] = field(default_factory=dict)

    def carry_out(self, step: Step) -> None:
        """Raises ``Refused`` and ``Unreachable``; then no further step may follow, and another run finishes."""
        if step.action is Action.REMOVE:
            self.admin.remove(step.resource)
        elif step.action is Action.CHANGE:
            self.admin.change(step.resource, step.values)
        else:
            self._create(step.resource)

    def _create(self, wanted: Resource) -> None:
        if wanted.kind is Kind.BUCKET and not wanted.parent_sid:
            wanted = replace(wanted, parent_sid=self._made[wanted.parent])
        sid = self.admin.create(wanted)
        if wanted.kind is Kind.SERVICE:
            self.admin = self.admin.of(sid)
        elif wanted.kind is Kind.RATE_LIMIT:
            self._made[wanted.name] = sid


def namesakes(admin: Administration, alias: str) -> list[str]:
    """The SIDs of the account's Services with the declared friendly name: one may be of a run that was cut short."""
    wanted = declared_for(alias)[0].values.get("friendly_name")
    return [sid for sid, name in admin.services().items() if name == wanted]


def title(resource: Resource) -> str:
    """Which thing it is, for people."""
    name = f"{resource.parent}: {resource.name} s" if resource.kind is Kind.BUCKET else resource.name
    return f"{resource.kind.replace('_', ' ')} {name}".strip()


def shown(name: str, value: Value) -> str:
    """A value as text for a terminal."""
    if name == "webhook_url" and isinstance(value, str):
        value = _without_secrets(value)
    if isinstance(value, tuple):
        value = ", ".join(value)
    if value is None or value == "":
        return "-"
    text = str(value)
    return text if text.isprintable() else ascii(text)  # SECURITY: no escape sequences of somebody else's


def as_data(found: Plan) -> dict[str, object]:
    """``found`` for ``json.dumps``. SECURITY: addresses of webhooks are as on the terminal."""
    return {
        "steps": [
            {
                "action": step.action.value,
                **_named(step.resource),
                "changes": {one.name: dict(zip(("old", "new"), _data(one), strict=True)) for one in step.changes},
            }
            for step in found.steps
        ],
        "undeclared": [_named(one) for one in found.undeclared],
        "warnings": list(found.warnings),
    }


def resource_data(resource: Resource) -> dict[str, object]:
    """``resource`` for ``json.dumps``."""
    values = {name: _datum(name, value) for name, value in resource.values.items()}
    return {**_named(resource), "sid": resource.sid, "values": values}


def _placed(wanted: Resource, limit: Resource | None) -> Resource:
    """``wanted``, if a bucket, under the rate limit that is there."""
    return replace(wanted, parent_sid=limit.sid) if wanted.kind is Kind.BUCKET and limit else wanted


def _step(current: Resource | None, wanted: Resource) -> Step | None:
    if current is None:
        return Step(Action.CREATE, wanted, tuple(Change(name, None, new) for name, new in wanted.values.items()))
    changes = tuple(
        Change(name, current.values.get(name), new)
        for name, new in wanted.values.items()
        if not _same(current.values.get(name), new)
    )
    return Step(Action.CHANGE, current, changes) if changes else None


def _same(old: Value, new: Value) -> bool:
    if isinstance(new, tuple):
        return sorted(old if isinstance(old, tuple) else ()) == sorted(new)
    # What Twilio says nothing of is off, or empty.
    return (old or False) == new if isinstance(new, bool) else ("" if old is None else old) == new


def _replaced(steps: list[Step], extra: list[Resource]) -> tuple[list[Step], list[Resource]]:
    """As given, but a bucket that would be made beside one that would be removed is that one, changed: a limit that has
    as many buckets as Twilio allows has no room for both.
    """
    spare = [one for one in extra if one.kind is Kind.BUCKET]
    result = []
    for step in steps:
        wanted = step.resource
        free = [one for one in spare if one.parent == wanted.parent]
        if step.action is Action.CREATE and wanted.kind is Kind.BUCKET and free:
            spare.remove(free[0])
            step = _changed_interval(free[0], wanted)
        result.append(step)
    return result, [one for one in extra if one.kind is not Kind.BUCKET or one in spare]


def _changed_interval(current: Resource, wanted: Resource) -> Step:
    interval = Change("interval", int(current.name), int(wanted.name))
    rest = _step(current, wanted)
    return Step(Action.CHANGE, current, (interval, *(rest.changes if rest else ())))


def _warnings(alias: str, declared: Sequence[Resource], there: Sequence[Resource]) -> Iterator[str]:
    """Of the Service as it is once the plan was carried out."""
    services: Iterable[Resource] = (one for one in (*there, *declared) if one.kind is Kind.SERVICE)
    together: dict[str, Value] = {}
    for one in services:
        together.update(one.values)
    yield from service_declaration.warnings(alias, together)


def _named(resource: Resource) -> dict[str, object]:
    return {"kind": resource.kind.value, "name": resource.name, "parent": resource.parent}


def _data(change: Change) -> tuple[object, object]:
    return _datum(change.name, change.old), _datum(change.name, change.new)


def _datum(name: str, value: Value) -> object:
    return shown(name, value) if name == "webhook_url" and value else value


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that cannot be read)"
    user = "…@" if parts.username or parts.password else ""
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{user}{host}{port}{parts.path}{query}"
