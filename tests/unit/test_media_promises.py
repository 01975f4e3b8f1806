import mimetypes

import pytest

from schemas.media import is_binary, is_office

OOXML = "application/vnd.openxmlformats-officedocument"


@pytest.mark.parametrize(
    ("mime_type", "filename", "binary", "office"),
    [
        ("application/vnd.ms-excel", None, True, True),
        ("application/vnd.ms-excel; charset=utf-8", "a.txt", True, True),
        ("application/msword", None, True, True),
        (f"{OOXML}.spreadsheetml.sheet", None, True, True),
        ("application/octet-stream", "estado.XLS", True, True),
        (None, "estado.xlsx", True, True),
        ("application/x-xls", None, True, True),
        ("application/x-download", "estado.xls", True, True),
        ("application/x-octet-stream", "estado.xls", True, True),
        ("binary/octet-stream", "estado.xls", True, True),
        ("application/force-download", "estado.pdf", True, False),
        ("application/x-download", "datos.json", False, False),
        ("application/x-download", None, False, False),
        (None, "carta.docx", True, True),
        (None, "hoja.ods", True, True),
        ("application/vnd.ms-powerpoint", None, True, False),
        ("application/pdf", "estado.xls", True, False),
        (None, "foto.heic", True, False),
        ("application/x-ndjson", None, False, False),
        ("application/x-json", None, False, False),
        ("application/vnd.geo+json", None, False, False),
        ("application/x-javascript", None, False, False),
        ("application/x-www-form-urlencoded", None, False, False),
        ("application/x-httpd-php", None, False, False),
        ("text/csv", "a.xls", False, False),
        (None, "a.csv", False, False),
        (None, None, False, False),
    ],
)
def test_a_declaration_tells_whether_text_can_be_meant(
    mime_type: str | None,
    filename: str | None,
    binary: bool,
    office: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", None)  # the table of the machine is not asked
    assert (is_binary(mime_type, filename), is_office(mime_type, filename)) == (binary, office)
