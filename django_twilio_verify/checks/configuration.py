"""System checks. Every id is stable and can be silenced by ``SILENCED_SYSTEM_CHECKS``; the reference lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from ..backends.handler import backends
from ..backends.options import IncompatibleOptions, SendOptions, features_of
from ..choices import CODE_CHANNELS, VERIFICATION_CHANNELS, Channel, CheckOutcome, FactorKind, Feature, RedeemProblem
from ..conf import REQUIRED_FACTS, TABLE, problems_of_numbers, settings
from ..consent import linter
from ..exceptions import TwilioVerifyError
from ..ledger import key_register, key_usage, seal_records
from ..provider import service_declaration
from ..verifications import routing
from ..verifications.messages import OUTCOME_PARAMS

MIDDLEWARE = "django_twilio_verify.middleware.TwoFactorMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_DELIVERS = "TWILIO_VERIFY_BACKENDS"
_OFFERABLE = f"Use {', '.join(channel.value for channel in VERIFICATION_CHANNELS)}."


def register_all() -> None:
    """Register every check of this file under the tags that ``manage.py check --tag`` knows."""
    for check in (check_security_settings, check_middleware, check_signing, check_webhook):
        register(check, Tags.security)
    register(check_ledger_keys, Tags.database)
    register(check_key_register, "twilio_verify_keys")
    for check in (check_settings, check_plan, check_send_options, check_claimants, check_backends, check_alias_keys):
        register(check, "twilio_verify")
    for check in (
        check_channels,
        check_program,
        check_disclosures,
        check_code,
        check_services,
        check_enrollment,
        check_error_messages,
    ):
        register(check, "twilio_verify")


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The errors of the table of settings, each with the id that its row names: a value that is none."""
    return _errors_in(*(name for name, one in TABLE.items() if not one.security))


def check_security_settings(**kwargs: Any) -> list[CheckMessage]:
    """The same, of the rows on which security hangs."""
    return _errors_in(*(name for name, one in TABLE.items() if one.security))


def _errors_in(*names: str) -> list[CheckMessage]:
    rows = [TABLE[name] for name in names]
    return [_error(row.check, problem.text, problem.hint) for row in rows for problem in row.problems()]


def _are_readable(*names: str) -> bool:
    """Whether these can be asked for. Where one cannot, the table's check speaks, and others keep still."""
    try:
        for name in names:
            getattr(settings, name)
    except ImproperlyConfigured:
        return False
    return True


def _error(check: str, text: str, hint: str | None = None) -> CheckMessage:
    return Error(text, hint=hint, id=f"twilio_verify.{check}")


def _warning(check: str, text: str, hint: str | None = None) -> CheckMessage:
    return Warning(text, hint=hint, id=f"twilio_verify.{check}")


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """E001: the middleware is missing. E002: it stands before ``AuthenticationMiddleware``."""
    order = [_resolved(path) for path in django_settings.MIDDLEWARE]
    ours, theirs = _position(order, MIDDLEWARE), _position(order, _AUTHENTICATION)
    if ours is None:
        return [_error("E001", f"{MIDDLEWARE} is not in MIDDLEWARE.", f"Add it after {_AUTHENTICATION}.")]
    if theirs is None or ours < theirs:
        text = f"{MIDDLEWARE} must stand after {_AUTHENTICATION} in MIDDLEWARE."
        return [_error("E002", text, "Before it there is no request.user to guard.")]
    return []


def check_signing(**kwargs: Any) -> list[CheckMessage]:
    """W004: outside ``DEBUG``, fingerprints or seals lean on ``SECRET_KEY``."""
    rows = (TABLE["fingerprint_keys"], TABLE["signing_keys"])
    unset = [row.name for row in rows if not getattr(django_settings, row.name, None)]
    if not unset or django_settings.DEBUG or not _are_readable("signing_keys"):
        return []
    text = f"{' and '.join(unset)} unset: the evidence of consent leans on SECRET_KEY."
    hint = "Once SECRET_KEY changes, opt-outs are not found and seals not confirmed. Give them own keys."
    return [_warning("W004", text, hint)]


def check_webhook(**kwargs: Any) -> list[CheckMessage]:
    """W050: ``TWILIO_VERIFY_WEBHOOK`` is set, and every request is refused."""
    is_set = getattr(django_settings, "TWILIO_VERIFY_WEBHOOK", None)
    if not is_set or _errors_in("webhook") or _can_authenticate():
        return []
    hint = "Give username and password as in the sink's address, or a TwilioBackend the Auth Token of its account."
    return [_warning("W050", "TWILIO_VERIFY_WEBHOOK is set, but every request to the webhook is refused.", hint)]


def _can_authenticate() -> bool:
    if settings.webhook.has_credentials:
        return True
    if _errors_in("backends") or any(message.is_serious() for message in check_backends()):
        return True  # that check speaks of backends that cannot be made
    return any(backends[alias].can_authenticate for alias in backends)


def check_ledger_keys(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """E021: a key that the ledger was written with is not listed, or was retired before its fingerprints were rotated.
    E022: it is listed with another secret. A few statements, each by an index; only where databases are checked.
    """
    # SECURITY: an error and no warning: opt-outs that are not found let messages go to people who opted out.
    if not _are_readable("fingerprint_keys"):
        return []
    if seal_records.database() not in (databases or ()) or not key_usage.is_there():
        return []
    hint = "Opt-outs under it are not found. List the key with its secret, then run rotate_fingerprint_keys."
    return [
        _error(
            "E021" if problem.is_lost else "E022",
            f"The consent ledger {problem.text} (TWILIO_VERIFY_FINGERPRINT_KEYS).",
            hint,
        )
        for problem in key_usage.problems()
    ]


def check_claimants(**kwargs: Any) -> list[CheckMessage]:
    """E035: ``TWILIO_VERIFY_CLAIMANT_BACKEND`` is no alias, or ``default``. W035: it is the same Service as it."""
    alias = settings.claimant_backend
    if not alias or not _are_readable("backends"):
        return []
    if alias == routing.DEFAULT or alias not in settings.backends:
        text = "TWILIO_VERIFY_CLAIMANT_BACKEND must be an alias of TWILIO_VERIFY_BACKENDS other than 'default'."
        return [_error("E035", text, f"Aliases: {', '.join(settings.backends)}.")]
    try:
        services = {backends[one].service_sid for one in (alias, routing.DEFAULT)}
    except ImproperlyConfigured:  # reported by check_backends
        return []
    if len(services) > 1 or services == {""}:
        return []
    hint = "A number has one pending verification in a Service: make another Service for claimants."
    text = f"TWILIO_VERIFY_CLAIMANT_BACKEND: {alias!r} has the same Verify Service as 'default'."
    return [_warning("W035", text, hint)]


def check_key_register(**kwargs: Any) -> list[CheckMessage]:
    """E023: the fingerprint keys do not fit the register beside the ledger, so that nothing is sent.

    Unlike the checks of the database this one always runs: two statements. Where there is no database yet, or it was
    not migrated, there is nothing to compare.
    """
    if not _are_readable("fingerprint_keys"):
        return []
    connection = connections[key_register.database()]
    was_open = connection.connection is not None
    try:
        misfits = key_register.problems() if key_register.is_there() else []
    except (DatabaseError, ImproperlyConfigured):  # no server, or the dummy database of a site that has none
        return []
    finally:
        if not was_open:
            connection.close()
    return [_error("E023", str(misfit.error)) for misfit in misfits]


def check_backends(**kwargs: Any) -> list[CheckMessage]:
    """E007: a backend cannot be made. W001: outside ``DEBUG`` one that delivers nothing."""
    if _errors_in("backends"):
        return []
    return [message for alias in backends for message in _check_backend(alias)]


def _can_be_made() -> bool:
    """Whether there is a default backend, and no other is one that cannot be made."""
    return not _errors_in("backends") and all(one.id != "twilio_verify.E007" for one in check_backends())


def check_services(**kwargs: Any) -> list[CheckMessage]:
    """E031 to E034: what is wrong with a declared Verify Service. W030: it gets in the way of other settings."""
    return [message for alias in _readable_aliases() for message in _check_service(alias)]


def _readable_aliases() -> list[str]:
    """The aliases whose own keys can be read. The others are told of by ``check_backends`` and ``check_alias_keys``."""
    return [alias for alias in _aliases() if not _check_alias_keys(alias)]


def _aliases() -> list[str]:
    """The aliases that are dicts."""
    if not _are_readable("backends"):
        return []
    return [alias for alias, config in settings.backends.items() if isinstance(config, Mapping)]


def check_alias_keys(**kwargs: Any) -> list[CheckMessage]:
    """E018: ``CODE_LENGTH`` or ``CODE_LIFETIME_SECONDS`` of an alias is no number, or out of bounds. E044: its ``PSD2``
    is neither true nor false, or its backend takes no amount and payee.
    """
    return [message for alias in _aliases() for message in (*_check_alias_keys(alias), *_check_payments(alias))]


def _check_alias_keys(alias: str) -> list[CheckMessage]:
    config = settings.backends[alias]
    messages = [_error("E018", problem.text) for problem in problems_of_numbers(alias, config)]
    if not isinstance(config.get("PSD2"), bool | None):
        messages.append(_error("E044", f"{_DELIVERS}[{alias!r}]['PSD2'] must be True or False."))
    return messages


def _check_payments(alias: str) -> list[CheckMessage]:
    if settings.backends[alias].get("PSD2") is not True or not _can_be_made():
        return []
    if Feature.PSD2 in backends[alias].features:
        return []
    return [_error("E044", f"{_DELIVERS}[{alias!r}]: its backend takes no amount and payee, so PSD2 must be off.")]


def _check_service(alias: str) -> list[CheckMessage]:
    try:
        declared = service_declaration.of(alias)
    except ImproperlyConfigured as error:
        return [_error("E032", str(error))]
    place = service_declaration.place(alias)
    problems = service_declaration.problems(alias, declared or {})
    if problems or declared is None or not _are_readable("channels", "router"):
        return [_error(one.check, f"{place}: {one.where}: {one.what}") for one in problems]
    values = service_declaration.resources(alias, declared)[0].values
    return [_warning("W030", f"{place}: {text}") for text in service_declaration.warnings(alias, values)]


def _check_backend(alias: str) -> list[CheckMessage]:
    where = f"{_DELIVERS}[{alias!r}]"
    config: object = settings.backends[alias]
    if not isinstance(config, Mapping) or not isinstance(config.get("BACKEND", ""), str):
        message = f"{where} must be a dict whose BACKEND is a dotted path."
        return [_error("E007", message, 'As in {"BACKEND": "…", "OPTIONS": {…}}.')]
    try:
        backend = backends[alias]
        messages = list(backend.system_checks())
    except ImproperlyConfigured as error:
        return [_error("E007", str(error))]
    except Exception as error:  # somebody else's constructor: a check says what is wrong, and never stops the others
        # SECURITY: the class of the error and not its text, which may quote an option.
        return [_error("E007", f"{where} cannot be made: {type(error).__name__}.")]
    if not backend.delivers and not django_settings.DEBUG:
        hint = "Codes are printed or kept in memory. Use TwilioBackend where people sign in."
        messages.append(_warning("W001", f"The backend {alias!r} delivers nothing.", hint))
    return messages


def check_enrollment(**kwargs: Any) -> list[CheckMessage]:
    """W065: there is an app for phones, and no backend for them."""
    if (
        not _are_readable("push_app_name", "suggest_stronger_factor", "device_factors", "router")
        or not settings.push_app_name
    ):
        return []
    if not _can_be_made() or routing.keeps(routing.possible(), FactorKind.PUSH):
        return []  # the first: there is none to ask
    hint = "Nobody is offered the app: use TwilioBackend, or take the setting out."
    text = "TWILIO_VERIFY_PUSH_APP_NAME is set, and no backend that people are led to keeps phones."
    return [_warning("W065", text, hint)]


def check_channels(**kwargs: Any) -> list[CheckMessage]:
    """E008: an unknown way, or none. E009: a way that cannot be offered. W002: only text messages."""
    if not _are_readable("channels"):
        return []
    if not settings.raw_channels:
        return [_error("E008", "TWILIO_VERIFY_CHANNELS is empty.", _OFFERABLE)]
    messages = [message for word in settings.raw_channels for message in _check_channel(word)]
    if not messages and {channel.consent_channel for channel in settings.channels} <= {Channel.SMS}:
        refused = linter.reference("sms_only")
        hint = f"Carriers refuse programmes that force SMS ({refused}): offer another way too."
        messages.append(_warning("W002", "TWILIO_VERIFY_CHANNELS offers text messages and nothing else.", hint))
    return messages


def check_plan(**kwargs: Any) -> list[CheckMessage]:
    """E041: a rule of the plan names a way that is not offered. W040: nothing to fall back to where the mobile network
    confirms nothing.
    """
    if not _are_readable("channel_rules", "channels"):
        return []
    hint = "A plan orders what is offered: add it there, or take it out here."
    messages = [
        _error(
            "E041", f"TWILIO_VERIFY_CHANNEL_RULES, rule {number}: {way.value!r} is not in TWILIO_VERIFY_CHANNELS.", hint
        )
        for number, rule in enumerate(settings.channel_rules, 1)
        for way in rule.channels
        if way not in settings.channels
    ]
    by_phone = [one for one in settings.channels if one in CODE_CHANNELS and one != Channel.EMAIL]
    if Channel.SNA in settings.channels and not by_phone:
        hint = "On Wi-Fi, and with many networks, it confirms nothing: offer sms or call beside it."
        messages.append(_warning("W040", "TWILIO_VERIFY_CHANNELS offers sna and no code by phone.", hint))
    return messages


def check_send_options(**kwargs: Any) -> list[CheckMessage]:
    """E042: ``TWILIO_VERIFY_SEND_OPTIONS`` holds no options. E043: a backend does not take one of them."""
    if not _are_readable("send_options"):
        return []
    given = settings.send_options
    named = given if isinstance(given, Mapping) else {}
    if problem := _options_problem({name: value for name, value in named.items() if not callable(value)}, named):
        return [_error("E042", f"TWILIO_VERIFY_SEND_OPTIONS: {problem}")]
    if not _can_be_made():
        return []  # there is none to ask
    where, hint = "TWILIO_VERIFY_SEND_OPTIONS", "Take it out, or give it where you send."
    return [
        _error("E043", f"{where}: the backend {alias!r} does not take {feature.label}.", hint)
        for alias in backends
        for feature in sorted(features_of(named) - backends[alias].features)
    ]


def _options_problem(values: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """What is wrong with the options of the settings, ``""`` if nothing. ``named``: also those that are callables."""
    try:
        features_of(named)  # the names, also of those to be called
        options = SendOptions.of(values)
        for channel in VERIFICATION_CHANNELS:
            options.fitting(channel).check(channel)
    except IncompatibleOptions as error:
        return str(error)
    except KeyError as error:
        return f"{error.args[0]!r} is no option of a send."
    taken = sorted({"amount", "payee"} & set(named))
    return f"{taken[0]} is given with each payment." if taken else ""


def _check_channel(word: object) -> list[CheckMessage]:
    try:
        channel = Channel.parse(str(word))
    except ValueError:
        message = f"TWILIO_VERIFY_CHANNELS: {word!r} is not a channel."
        return [_error("E008", message, _OFFERABLE)]
    if channel not in VERIFICATION_CHANNELS:
        message = f"TWILIO_VERIFY_CHANNELS: {channel.value!r} is not among the ways of Verify's Verifications."
        return [_error("E009", message, _OFFERABLE)]
    return []


def check_program(**kwargs: Any) -> list[CheckMessage]:
    """E016, while ``DEBUG`` W003: a fact of the programme is missing."""
    if not _are_readable("program"):
        return []
    missing = [name for name in REQUIRED_FACTS if not getattr(settings.program, name)]
    if not missing:
        return []
    text = f"TWILIO_VERIFY_PROGRAM lacks {', '.join(missing)}."
    hint = "Pages that ask for a number must show them (Twilio's Verify policy, CTIA)."
    return [_warning("W003", text, hint) if django_settings.DEBUG else _error("E016", text, hint)]


def check_disclosures(**kwargs: Any) -> list[CheckMessage]:
    """W005: a reviewer of Twilio's or a carrier's would reject the words that ask for consent, or a fact in them.

    Silent where another check speaks already: facts that are missing, and ways that are wrong or the only one.
    """
    if not _are_readable("program", "channels") or check_program() or check_channels():
        return []
    return [
        _warning("W005", f"{_place(finding)}: {finding.problem} ({finding.reference})", finding.remedy)
        for finding in linter.findings(languages=linter.chosen_languages())
    ]


def _place(finding: linter.Finding) -> str:
    is_setting = finding.where.startswith("TWILIO_VERIFY")
    return finding.where if is_setting else f"TWILIO_VERIFY_PROGRAM and its pages ({finding.where})"


def check_error_messages(**kwargs: Any) -> list[CheckMessage]:
    """E067: ``TWILIO_VERIFY_ERROR_MESSAGES`` names no code, or has a text that is none, or that cannot be filled."""
    if not _are_readable("error_messages"):
        return []
    known = _placeholders()
    where = "TWILIO_VERIFY_ERROR_MESSAGES"
    messages = []
    for code, text in settings.error_messages.items():
        if code not in known:
            hint = "Codes: see the reference of exceptions, and CheckOutcome."
            messages.append(_error("E067", f"{where}: {code!r} is no code of an error or an outcome.", hint))
        elif not isinstance(text, str | Promise) or not str(text):
            messages.append(_error("E067", f"{where}[{code!r}] must be a text."))
        elif not _can_be_filled(str(text), known[code]):
            allowed = ", ".join(f"%({name})s" for name in sorted(known[code])) or "none"
            hint = f"Placeholders: {allowed}. Beside one, a percent sign is written %%."
            messages.append(_error("E067", f"{where}[{code!r}] has a placeholder that is not known there.", hint))
    return messages


_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def _placeholders() -> dict[str, frozenset[str]]:
    """Every code that may have a text, with the placeholders that our own sentence knows."""
    known: dict[str, frozenset[str]] = {}
    for error in _error_classes(TwilioVerifyError):
        for code, sentence in error.user_messages.items():
            known[code] = known.get(code, frozenset()) | {*_PLACEHOLDER.findall(str(sentence))}
    outcomes = {one.value: frozenset(OUTCOME_PARAMS.get(one.value, ())) for one in CheckOutcome}
    del outcomes[CheckOutcome.APPROVED.value]  # nothing is said of it
    known |= {problem.value: frozenset() for problem in RedeemProblem} | outcomes
    return known | {f"{channel}.{code}": names for channel in Channel for code, names in outcomes.items()}


def _error_classes(base: type[TwilioVerifyError]) -> Iterator[type[TwilioVerifyError]]:
    for error in base.__subclasses__():
        yield error
        yield from _error_classes(error)


def _can_be_filled(text: str, names: frozenset[str]) -> bool:
    if not names:  # such a text is shown as it is
        return not _PLACEHOLDER.search(text)
    try:
        _ = text % dict.fromkeys(names, "")
    except (KeyError, TypeError, ValueError):
        return False
    return True


SAFE_LENGTH = 6


def check_code(**kwargs: Any) -> list[CheckMessage]:
    """W006: codes of fewer than six digits."""
    hint = "NIST SP 800-63B-4 asks for at least six digits (section 3.1.3.2)."
    lengths = {alias: settings.service(alias).code_length for alias in _readable_aliases()}
    return [
        _warning("W006", f"{_DELIVERS}[{alias!r}]['CODE_LENGTH'] is {length}: such codes are easily guessed.", hint)
        for alias, length in lengths.items()
        if length < SAFE_LENGTH
    ]


def _resolved(path: Any) -> Any:
    try:
        return import_string(path)
    except Exception:  # a typo, or a module that cannot be imported: Django itself reports it when it starts
        return path


def _position(order: list[Any], path: str) -> int | None:
    """Where ``path``, or a subclass of what it names, stands."""
    wanted = import_string(path)
    for index, found in enumerate(order):
        if found is wanted or (isinstance(found, type) and issubclass(found, wanted)):
            return index
    return None
