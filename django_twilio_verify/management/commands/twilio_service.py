"""``manage.py twilio_service``: the Verify Service and what belongs to it, as declared in settings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandParser

from ...backends.service import Administration, AdministrationError, Kind, Refused, Resource
from ...provider import service_declaration, service_provisioning
from ...provider.service_provisioning import Plan, Run, Step
from ..base import CouldNotLook, Found, VerifyCommand

DIFFERS = "differs"
"""There are differences, or a plan that was not confirmed."""
WRONG = "wrong"
"""The command line, the settings or the declaration are wrong; Twilio was not asked."""
NO_ANSWER = "no_answer"
"""Twilio could not be asked, or did not answer: nothing is known of differences."""
REFUSED = "refused"
"""Twilio refused a step; those before it were carried out."""


class Command(VerifyCommand):
    help = "Create, show, apply or check the Verify Service that TWILIO_VERIFY_BACKENDS[alias]['SERVICE'] declares."
    # A missing service_sid is an error of the system checks, and what `create` is for.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["create", "show", "apply", "check"], help="What to do with the Service.")
        parser.add_argument("--backend", metavar="ALIAS", default="default", help="The backend. Default: %(default)s.")
        parser.add_argument("--yes", action="store_true", help="Carry out the plan without asking.")
        parser.add_argument("--prune", action="store_true", help="Remove what exists and is not declared.")
        parser.add_argument("--another", action="store_true", help="With create: although a Service exists.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._alias: str = options["backend"]
        self._sure: bool = options["yes"]
        self.data |= {"backend": self._alias, "reason": "", "service_sid": None, "plan": None, "done": []}
        self.data |= {"resources": None, "outside_the_api": None}
        try:
            self._handle(options)
        except ImproperlyConfigured as error:
            self._fail(str(error), WRONG)
        except AdministrationError as error:
            self._fail(_told(error), NO_ANSWER)

    def _handle(self, options: dict[str, Any]) -> None:
        verb = options["verb"]
        admin = service_provisioning.administration(self._alias, without_service=verb == "create")
        if verb == "create":
            self._create(admin, another=options["another"])
            return
        self.data["service_sid"] = admin.service_sid
        if verb == "show":
            self._show(self._look(admin))
        elif verb == "check":
            self._check(admin, prune=options["prune"])
        else:
            self._apply(admin, prune=options["prune"])

    def _create(self, admin: Administration, *, another: bool) -> None:
        plan = service_provisioning.plan(self._alias, ())
        if "friendly_name" not in plan.steps[0].values:
            raise ImproperlyConfigured(
                f"{service_declaration.place(self._alias)} needs a friendly_name to make a Service."
            )
        if admin.service_sid and not another:
            self._fail(
                f"The backend {self._alias!r} has the Service {admin.service_sid}. `apply` changes it; --another makes "
                "one more.",
                WRONG,
            )
        there = service_provisioning.namesakes(admin, self._alias)
        if there and not another:
            self._fail(
                f"The account has a Service of that name already: {', '.join(there)}. Put it into settings, or give "
                "--another.",
                WRONG,
            )
        self._agreed(plan)
        run = Run(admin)
        self._carry_out(run, plan.steps[:1])
        self._tell_sid(run.admin.service_sid)
        self._carry_out(run, plan.steps[1:])
        self._check_rivals({*there, run.admin.service_sid})

    def _check_rivals(self, known: set[str]) -> None:
        """Fail if the account has a Service of the declared name that is not ``known``.

        Twilio allows several of one name, and no lock is held over the network: of runs at the same time, at least the
        one that ends last sees the other's.
        """
        admin = service_provisioning.administration(self._alias, without_service=True)
        if rivals := [sid for sid in service_provisioning.namesakes(admin, self._alias) if sid not in known]:
            self._fail(
                f"Another run made {', '.join(rivals)} of the same name meanwhile. Keep one, and delete the other in "
                "Twilio's Console.",
                DIFFERS,
            )

    def _tell_sid(self, sid: str) -> None:
        self.data["service_sid"] = sid
        self.stdout.write(self.style.SUCCESS(f"Service {sid} is made. Put it into settings:"))
        self.stdout.write(f"    TWILIO_VERIFY_BACKENDS[{self._alias!r}]['OPTIONS']['service_sid'] = {sid!r}")
        self.stdout.write(f"or, if they read it from the environment: VERIFY_SERVICE_SID={sid}")

    def _show(self, there: Sequence[Resource]) -> None:
        self.data["resources"] = [service_provisioning.resource_data(one) for one in there]
        self.data["outside_the_api"] = dict(service_provisioning.OUTSIDE_THE_API)
        rows = [(service_provisioning.title(one), name, value) for one in there for name, value in _values(one)]
        self._table(("What", "Parameter", "Value"), rows)
        self.stdout.write("\nNot in the API, so neither shown nor checked:")
        self._table(("What", "Where"), service_provisioning.OUTSIDE_THE_API)

    def _check(self, admin: Administration, *, prune: bool) -> None:
        plan = service_provisioning.plan(self._alias, self._look(admin), prune=prune)
        self._show_plan(plan)
        if plan.steps:
            self._fail(f"{_differences(plan.steps)} from what is declared. `apply` mends it.", DIFFERS)
        self.stdout.write(self.style.SUCCESS(f"The Service {admin.service_sid} is as declared."))

    def _apply(self, admin: Administration, *, prune: bool) -> None:
        if service_declaration.of(self._alias) is None:
            raise ImproperlyConfigured(f"{service_declaration.place(self._alias)} is not there: nothing is declared.")
        plan = service_provisioning.plan(self._alias, self._look(admin), prune=prune)
        if plan.steps:
            self._agreed(plan)
            self._carry_out(Run(admin), plan.steps)
            plan = service_provisioning.plan(self._alias, self._look(admin), prune=prune)
            if plan.steps:
                self._show_plan(plan)
                self._fail("Twilio took every step, and still says otherwise of what is listed.", DIFFERS)
            self._check_twice(plan)
        else:
            self._show_plan(plan)
        self.stdout.write(self.style.SUCCESS(f"The Service {admin.service_sid} is as declared."))

    def _check_twice(self, plan: Plan) -> None:
        """Fail if something declared exists twice: of webhooks, Twilio takes two of one name from runs at once."""
        declared = {one.key for one in service_provisioning.declared_for(self._alias)}
        if twice := [service_provisioning.title(one) for one in plan.undeclared if one.key in declared]:
            self._fail(f"Another run made this too: {', '.join(twice)}. `apply --prune` removes it.", DIFFERS)

    def _look(self, admin: Administration) -> list[Resource]:
        with self.progress("parts of the Service read") as progress:
            return service_provisioning.look(admin, progress)

    def _agreed(self, plan: Plan) -> None:
        """Show the plan, and come back if it may be carried out."""
        self._show_plan(plan)
        if self._sure:
            return
        if self.is_json or not sys.stdin.isatty():
            self._fail("Nothing was changed: --yes carries the plan out.", DIFFERS)
        if not self._says_yes(f"Carry out {_steps(plan.steps)} at Twilio? [y/N] "):
            self._fail("Nothing was changed.", DIFFERS)

    def _says_yes(self, question: str) -> bool:
        try:
            self.stdout.write(question, ending="")
            self.stdout.flush()
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            return False

    def _carry_out(self, run: Run, steps: Sequence[Step]) -> None:
        done: list[str] = self.data["done"]
        for step in steps:
            try:
                run.carry_out(step)
            except AdministrationError as error:
                self._stopped(step, error)
            done.append(str(step))
            self.stdout.write(f"done: {step}")

    def _stopped(self, step: Step, error: AdministrationError) -> NoReturn:
        again = "Run `apply` again once it is mended: it looks first, and does what is left."
        if step.resource.kind is Kind.SERVICE and not step.resource.sid:
            again = "Run `create` again: it looks first for a Service of that name."
        status = REFUSED if isinstance(error, Refused) else NO_ANSWER
        self._fail(f"{step}: {_told(error)} {again}", status)

    def _show_plan(self, plan: Plan) -> None:
        self.data["plan"] = service_provisioning.as_data(plan)
        self._table(("Do", "To", "Parameter", "Old", "New"), [row for step in plan.steps for row in _rows(step)])
        for one in plan.undeclared:
            self.stdout.write(f"not declared, and left alone without --prune: {service_provisioning.title(one)}")
        for warning in plan.warnings:
            self.stdout.write(self.style.WARNING(f"warning: {warning}"))

    def _table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        lines = [head, *rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        for line in lines if len(lines) > 1 else ():
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def _fail(self, message: str, reason: str) -> NoReturn:
        self.data["reason"] = reason
        raise (Found if reason == DIFFERS else CouldNotLook)(message)


def _told(error: AdministrationError) -> str:
    more = f" (error {error.code}: https://www.twilio.com/docs/api/errors/{error.code})" if error.code else ""
    return f"{error}{more}"


def _rows(step: Step) -> list[tuple[str, str, str, str, str]]:
    first, what = step.action.value, service_provisioning.title(step.resource)
    return [(first, what, one.name, *one.shown) for one in step.changes] or [(first, what, "", "", "")]


def _values(one: Resource) -> list[tuple[str, str]]:
    """The parameters that have a value; a thing that has none is named all the same."""
    shown = [(name, service_provisioning.shown(name, value)) for name, value in one.values.items()]
    return [pair for pair in shown if pair[1] != "-"] or [("", "")]


def _steps(steps: Sequence[Step]) -> str:
    return f"{len(steps)} step{'s' if len(steps) > 1 else ''}"


def _differences(steps: Sequence[Step]) -> str:
    return f"{len(steps)} difference{'s' if len(steps) > 1 else ''}"
