import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hatchling.builders.wheel import WheelBuilder

from connectors.console.pages import routes
from connectors.console.pages.words import LANGUAGES, Words, catalogue, language_of
from schemas.reasons import AttachmentReason, DeliveryReason, QuarantineReason

PAGES = Path(routes.__file__).parent
STATIC, TEMPLATES = PAGES / "static", PAGES / "templates"
MOST_SCRIPT_BYTES = 60_000
_SCRIPT = re.compile(r'<script src="[^"]*/([\w.-]+\.js)"')
_KEY = re.compile(r"""(?<![\w.])t\(\s*(?:"([a-z_0-9.]+)"|'([a-z_0-9.]+)')\s*[,)]""")
_MADE_KEY = re.compile(r"""(?<![\w.])t(?:\.known)?\(\s*(?:"([a-z_.]+)"|'([a-z_.]+)')\s*~""")


def vendored() -> dict[str, str]:
    lines = (PAGES / "vendored.txt").read_text().splitlines()
    return {line.split()[1]: line.split()[0] for line in lines if not line.startswith("#")}


def altered(files: dict[str, str], folder: Path) -> list[str]:
    return [
        name
        for name, sha256 in files.items()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256
    ]


def test_files_of_others_are_as_they_were_published() -> None:
    assert altered(vendored(), STATIC) == []
    minified = {path.name for path in STATIC.iterdir() if ".min." in path.name}
    assert minified == set(vendored())


def test_a_changed_file_of_others_is_seen(tmp_path: Path) -> None:
    (tmp_path / "htmx.min.js").write_bytes((STATIC / "htmx.min.js").read_bytes() + b" ")
    assert altered({"htmx.min.js": vendored()["htmx.min.js"]}, tmp_path) == ["htmx.min.js"]


def scripts_of(template: str) -> set[str]:
    text = (TEMPLATES / template).read_text()
    above = re.findall(r'{% extends "([^"]+)" %}', text)
    return set(_SCRIPT.findall(text)).union(*(scripts_of(one) for one in above))


def test_no_page_has_more_than_60_kb_of_script() -> None:
    for template in TEMPLATES.iterdir():
        weight = sum(
            len(gzip.compress((STATIC / one).read_bytes())) for one in scripts_of(template.name)
        )
        assert weight <= MOST_SCRIPT_BYTES, template.name
    assert scripts_of("login.html") >= {"htmx.min.js", "console.js"}


def test_every_template_has_scripts_only_with_a_nonce_and_no_inline_code() -> None:
    for template in TEMPLATES.iterdir():
        text = template.read_text()
        for tag in re.findall(r"<script\b[^>]*>", text):
            assert 'nonce="{{ visit.nonce }}"' in tag and "src=" in tag, template.name
        assert not re.search(r"\son\w+=|style=|javascript:|\|\s*safe", text), template.name


def test_a_stream_that_is_refused_takes_the_place_of_no_conversation() -> None:
    """Otherwise htmx would replace the messages by the page about the error."""
    text = (TEMPLATES / "base.html").read_text()
    (config,) = re.findall(r"<meta name=\"htmx-config\" content='([^']+)'>", text)
    assert {"4xx", "5xx"} <= set(json.loads(config)["noSwap"])


def test_every_post_form_has_its_token() -> None:
    for template in TEMPLATES.iterdir():
        text = template.read_text()
        forms = re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL)
        assert all('name="csrf" value="{{ visit.csrf }}"' in form for form in forms), template.name


FINAL = ("/revoke", "/drop", "/remove", "/url", "/log-out")


def test_what_cannot_be_taken_back_is_asked_about() -> None:
    forms = [
        found
        for path in TEMPLATES.iterdir()
        for found in re.findall(
            r'<form[^>]*method="post" action="([^"]+)"([^>]*)>', path.read_text()
        )
    ]
    final = [(path, rest) for path, rest in forms if path.endswith(FINAL)]
    assert {path.rpartition("/")[2] for path, _ in final} == {one[1:] for one in FINAL}
    assert [path for path, rest in final if " data-asks=" not in rest] == []
    assert "dataset.asks" in (STATIC / "console.js").read_text()


def keys_in_code() -> set[str]:
    used = set[str]()
    for template in TEMPLATES.iterdir():
        used |= {one or other for one, other in _KEY.findall(template.read_text())}
    steps = (PAGES.parents[1] / "providers" / "signature_check.py").read_text()
    used |= set(re.findall(r'"(check\.[a-z_.]*[a-z])"', steps))
    for module in PAGES.glob("*.py"):
        used |= set(re.findall(r'PageProblem\(\d+, "([a-z_0-9.]+)"', module.read_text()))
    return used


def test_every_language_has_every_text_that_pages_use() -> None:
    keys = set(catalogue("en"))
    for language in LANGUAGES:
        assert set(catalogue(language)) == keys, language
        assert keys_in_code() <= set(catalogue(language)), keys_in_code() - keys
    made = {
        one or other
        for path in TEMPLATES.iterdir()
        for one, other in _MADE_KEY.findall(path.read_text())
    }
    for prefix in made:
        assert any(key.startswith(prefix) for key in keys), prefix


def test_the_languages_fill_in_the_same_values() -> None:
    for key, text in catalogue("en").items():
        values = re.findall(r"{(\w+)}", text)
        assert sorted(values) == sorted(re.findall(r"{(\w+)}", catalogue("es")[key])), key


_COUNTED = re.compile(r"""(?<![\w.])t\(\s*"([a-z_0-9.]+)",\s*count=""")


def test_one_of_something_is_not_told_as_many() -> None:
    assert Words("en")("repair.redone", count=1) == "1 file"
    assert Words("es")("repair.redone", count=1) == "1 archivo"
    assert Words("es")("repair.redone", count=2) == "2 archivos"
    counted = {
        key for path in TEMPLATES.iterdir() for key in _COUNTED.findall(path.read_text())
    } - {"trouble.redoing", "repair.report", "repair.cancelled_text"}  # the same of one and of many
    assert counted >= {"repair.redone", "context.pending"}
    for language in LANGUAGES:
        assert [key for key in counted if f"{key}.one" not in catalogue(language)] == []


def test_every_reason_is_told_in_a_sentence() -> None:
    for language in LANGUAGES:
        missing = [
            one for one in get_args(AttachmentReason) if f"reason.{one}" not in catalogue(language)
        ]
        assert missing == [], language
        unsaid = [
            one
            for one in get_args(QuarantineReason)
            if f"quarantine.{one}" not in catalogue(language)
        ]
        assert unsaid == [], language
        unnamed = [
            one for one in get_args(DeliveryReason) if f"delivery.{one}" not in catalogue(language)
        ]
        assert unnamed == [], language


def test_no_catalogue_holds_a_key_twice() -> None:
    for path in (PAGES / "words").iterdir():
        pairs = json.loads(path.read_text(), object_pairs_hook=list)
        assert len(pairs) == len({key for key, _ in pairs}), path.name


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"), ("es-MX,es;q=0.9,en;q=0.8", "es"), ("en-US,es;q=0.9", "en"), ("fr,es;q=0.3,en;q=0.2", "es"),
        ("de", "en"), ("es;q=x", "en"), ("es;q=0.1,en;q=0.9", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_first_known_one_of_the_browser(header: str, language: str) -> None:
    assert language_of(header) == language
    assert Words(language)("nav.audit")


def test_the_wheel_has_every_file_of_the_pages() -> None:
    root = PAGES.parents[2]
    packed = {file.relative_path for file in WheelBuilder(str(root)).recurse_included_files()}
    wanted = {
        str(path.relative_to(root))
        for folder in (STATIC, TEMPLATES, PAGES / "words")
        for path in folder.iterdir()
    }
    assert wanted <= packed and len(wanted) > 20
