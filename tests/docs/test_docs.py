"""The documentation cannot drift: what has a name in the code has a line in the reference."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.dispatch import Signal
from django.utils.translation import override

import django_twilio_verify
from django_twilio_verify import choices, conf, exceptions, models, signals, urls
from django_twilio_verify.backends import base
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.models.append_only import LEDGER_MODELS
from django_twilio_verify.templatetags.twilio_verify import register

model_names = [name for name in models.__all__ if inspect.isclass(getattr(models, name))]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(django_twilio_verify.__file__).parent


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The rows of every table of a page, cell by cell, without code marks."""
    lines = [line for line in page(name).splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def first_cells(name: str) -> list[str]:
    return [row[0] for row in rows(name)]


def error_classes() -> list[type[TwilioVerifyError]]:
    found = [value for value in vars(exceptions).values() if isinstance(value, type)]
    return [one for one in found if issubclass(one, TwilioVerifyError)]


def sentences() -> list[tuple[str, str, str]]:
    with override("en"):
        return [
            (one.__name__, code, str(sentence))
            for one in error_classes()
            for code, sentence in one.user_messages.items()
        ]


def test_every_setting_is_in_the_reference_with_a_section_of_its_own() -> None:
    properties = [name for name, value in vars(conf.Settings).items() if isinstance(value, property)]
    names = [f"TWILIO_VERIFY_{name.upper()}" for name in properties if name != "raw_channels"]
    text = page("reference/settings").replace("```{settings-overview}\n```", "\n".join(overview()))
    assert [name for name in names if f"## {name}\n" not in text or f"| [`{name}`](" not in text] == []
    described = re.findall(r"^## (TWILIO_VERIFY_\w+)$", text, re.MULTILINE)
    assert sorted(described) == sorted(names)


def test_no_page_names_a_setting_that_is_not_there() -> None:
    known = {one.name for one in conf.TABLE.values()}
    for file in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        if file.name != "moved-names.md":
            named = {*re.findall(r"\bTWILIO_VERIFY_[A-Z][A-Z_]*[A-Z]\b", file.read_text(encoding="utf-8"))}
            assert named <= known, file


def overview() -> list[str]:
    """The table of settings that the page is built with."""
    lines: list[str] = loaded("_ext/settings_overview_lines").lines()
    return lines


def test_the_overview_of_the_settings_has_type_and_default_of_each() -> None:
    _, _, *body = overview()
    cells = [line.strip("| ").split(" | ") for line in body]
    assert [len([cell for cell in row if cell]) for row in cells] == [3] * len(conf.TABLE)
    sections = re.findall(r"^## (TWILIO_VERIFY_\w+)$", page("reference/settings"), re.MULTILINE)
    assert sorted(sections) == sorted(one.name for one in conf.TABLE.values())
    linked = "[`TWILIO_VERIFY_TRUSTED_BROWSER_DAYS`](#twilio_verify_trusted_browser_days)"
    assert [linked, "days, 0 to 365; callable or dotted path", "`0`: never"] in cells
    assert [
        "[`TWILIO_VERIFY_STEP_UP_MAX_AGE_SECONDS`](#twilio_verify_step_up_max_age_seconds)",
        "seconds, 60 to 86400",
        "`600`",
    ] in cells


def test_a_default_that_is_told_in_words_is_the_one_in_the_table() -> None:
    told = {one.name: one.told for one in conf.TABLE.values() if one.told.startswith("`[")}
    assert {name: tuple(ast.literal_eval(said.strip("`"))) for name, said in told.items()} == {
        one.name: one.default for one in conf.TABLE.values() if one.name in told
    }


def test_every_limit_and_every_fact_of_the_programme_is_in_the_reference() -> None:
    found = first_cells("reference/settings")
    assert {*conf.DEFAULT_LIMITS, *conf.Program.__dataclass_fields__} <= {*found}


def test_the_defaults_of_the_limits_are_the_documented_ones() -> None:
    documented = {row[0]: row[-1] for row in rows("reference/settings") if row[0] in conf.DEFAULT_LIMITS}
    assert documented == {rule: str(limit) for rule, limit in conf.DEFAULT_LIMITS.items()}


@pytest.mark.parametrize(("name", "code", "sentence"), sentences())
def test_every_error_code_is_in_the_reference_with_its_sentence(name: str, code: str, sentence: str) -> None:
    section = page("reference/exceptions").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert f"| `{code}` | {sentence} |" in section


def test_no_error_code_is_documented_that_is_not_there() -> None:
    known = {code for _, code, _ in sentences()} | {one.__name__ for one in error_classes()}
    documented = {cell for cell in first_cells("reference/exceptions") if re.fullmatch(r"\w+", cell)}
    assert documented - known == {"Class", "Code"}


def test_every_exception_has_its_answer_in_the_reference() -> None:
    text = page("reference/exceptions")
    assert [one.__name__ for one in error_classes() if f"`{one.__name__}`" not in text] == []


def test_every_system_check_is_in_the_reference_with_its_level() -> None:
    # The literal ids, and those that are put together: "E013" in a table, f"twilio_verify.{check_id}" beside it.
    files = (
        "conf/table.py",
        "checks/configuration.py",
        "checks/login_urls.py",
        "provider/service_declaration.py",
        "backends/twilio/backend.py",
    )
    sources = "".join((PACKAGE / name).read_text(encoding="utf-8") for name in files)
    ids = {f"twilio_verify.{number}" for number in re.findall(r"\"(?:twilio_verify\.)?([EW]\d{3})\"", sources)}
    levels = {row[0]: row[1] for row in rows("reference/checks") if row[0].startswith("twilio_verify.")}
    assert ids == {*levels}
    assert len(ids) >= 20
    assert all(level == {"E": "error", "W": "warning"}[check[14]] for check, level in levels.items())


def test_every_signal_is_in_the_reference() -> None:
    names = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
    assert [name for name in first_cells("reference/signals") if name in names] == names


def test_every_url_is_in_the_reference_with_its_path() -> None:
    documented = {row[0]: row[1] for row in rows("reference/urls") if len(row) == 5}
    for pattern in urls.urlpatterns:
        path = re.sub(r"<\w+:(\w+)>", r"<\1>", str(pattern.pattern)) or "the prefix itself"
        assert documented[pattern.name] == path


def test_every_template_and_static_file_is_in_the_reference() -> None:
    text = page("reference/templates")
    for folder in ("templates", "static"):
        files = [*(PACKAGE / folder / "twilio_verify").iterdir()]
        assert files
        assert [file.name for file in files if file.name not in text] == []


def test_every_tag_and_filter_is_in_the_reference() -> None:
    text = page("reference/templates")
    assert [name for name in register.tags if f"`{{% {name} " not in text] == []
    assert [name for name in register.filters if f"\\|{name}`" not in text] == []


SECRETS = ("KEYS", "BACKENDS", "WEBHOOK", "TIMESTAMP_URL")
"""How the names of settings end that hold keys, secrets or trust."""


def test_every_secret_has_its_row_on_the_page_of_keys() -> None:
    properties = [name.upper() for name, value in vars(conf.Settings).items() if isinstance(value, property)]
    named = {f"TWILIO_VERIFY_{name}" for name in properties if name.endswith(SECRETS)}
    hidden = [one.name for one in dataclasses.fields(conf.Webhook) if not one.repr]
    assert hidden == ["password"]  # another secret of a setting wants a word on that page
    assert named | {"SECRET_KEY", "session secrets"} == {row[0] for row in rows("topics/keys") if len(row) == 5} - {
        "Secret",
        "---|---|---|---|---",
    }


def test_every_reason_of_keys_that_do_not_fit_is_on_the_page_of_keys() -> None:
    documented = {row[0] for row in rows("topics/keys") if len(row) == 3}
    assert {*exceptions.KeysDoNotFit.reasons} == documented - {"Code"}


def test_every_model_is_in_the_reference() -> None:
    assert [name for name in model_names if f"## {name}\n" not in page("reference/records")] == []


def test_every_choice_is_in_the_reference() -> None:
    text = page("reference/choices")
    lists = [getattr(choices, name) for name in choices.__all__ if isinstance(getattr(choices, name), type)]
    assert len(lists) == 16
    for one in lists:
        section = text.partition(f"\n## {one.__name__}\n")[2].partition("\n## ")[0]
        assert [word.value for word in one if f"`{word.value}`" not in section] == []


def test_every_command_is_in_the_reference() -> None:
    commands = [file.stem for file in (PACKAGE / "management" / "commands").glob("[a-z]*.py")]
    assert [name for name in commands if f"## {name}\n" not in page("reference/commands")] == []


def test_twilios_error_codes_are_generated() -> None:
    assert "```{twilio-errors}\n```" in page("reference/twilio-errors")


def test_every_page_is_in_a_table_of_contents() -> None:
    index = page("index")
    pages = [file.relative_to(DOCS).with_suffix("").as_posix() for file in DOCS.rglob("*.md")]
    assert [name for name in pages if name != "index" and f"\n{name}\n" not in index] == []


@pytest.mark.parametrize("file", ["README.md", *sorted(str(one.relative_to(ROOT)) for one in DOCS.rglob("*.md"))])
def test_links_to_files_lead_somewhere(file: str) -> None:
    here = ROOT / file
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]*)?\)", here.read_text(encoding="utf-8"))
    included = re.findall(r"\{literalinclude\} (\S+)", here.read_text(encoding="utf-8"))
    assert [target for target in targets + included if not (here.parent / target).exists()] == []


def test_the_documents_tell_nothing_of_a_developers_machine() -> None:
    for file in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.py")]:
        assert not re.search(r"/(?:work|root|home|tmp)/", file.read_text(encoding="utf-8")), file


def test_the_tutorial_works() -> None:
    """Its project, as written there, passes its own tests and needs no migration."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "TEST", "COV"))}
    environ.update(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        [sys.executable, "manage.py", "test", "--noinput"],
        cwd=DOCS / "tutorial",
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 3 tests" in done.stderr


def loaded(name: str) -> ModuleType:
    """A Python file of the documentation."""
    spec = importlib.util.spec_from_file_location(name.rpartition("/")[2], DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_authors_of_backends_import_is_in_the_reference() -> None:
    text = page("reference/backends")
    assert [name for name in base.__all__ if f"`{name}`" not in text] == []
    classes = [value for name in base.__all__ if inspect.isclass(value := getattr(base, name))]
    assert [one.__name__ for one in classes if not one.__doc__] == []


def test_the_router_of_the_guide_keeps_the_ledger_apart() -> None:
    ours = loaded("howto/ledger_router").LedgerRouter()
    ledger = LEDGER_MODELS
    assert {"disclosure", "consentevent", "consentevidence", "consentseal", "auditevent", "legalhold"} < ledger
    for name in model_names:
        model = getattr(sys.modules["django_twilio_verify.models"], name)
        apart = name.lower() in ledger
        assert ours.db_for_read(model) == ours.db_for_write(model) == ("ledger" if apart else None)
        assert ours.allow_migrate("ledger", "twilio_verify", name.lower()) is apart
        assert ours.allow_migrate("default", "twilio_verify", name.lower()) is not apart
    assert ours.allow_migrate("ledger", "auth", "user") is False
    assert ours.allow_migrate("default", "auth", "user") is None
    assert ledger <= {name.lower() for name in model_names}
