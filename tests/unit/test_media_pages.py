"""HTML pages: exports of programs, and errors that servers send instead of a file."""

import io
import time

import pytest

from connectors.media.sniff import Sniffed, sniff_file

EXCEL = "<html xmlns:x='urn:schemas-microsoft-com:office:excel'>"


@pytest.mark.parametrize(
    ("page", "family"),
    [
        (EXCEL, "office_page"),
        (EXCEL + "<script>", "office_page"),
        ("<html><head><meta name=ProgId content=Excel.Sheet>", "office_page"),
        ("<table><tr><td>450,00</td></tr></table>", "office_page"),
        ("<html><body><table border=1><tr>", "office_page"),
        ("<html><body><table><tr><form action=/login><input type=password>", "web_page"),
        ("<html><script>location='/login'</script><table>", "web_page"),
        ("<html><script>var a = 1</script><table>", "office_page"),
        (
            "<html><body><form action=x.aspx><input type='hidden' name=__VIEWSTATE><table>",
            "office_page",
        ),
        ("<html><style>" + "td{color:red}\n" * 2_000 + "</style><table>", "office_page"),
        (
            "<html><style>" + "td{color:red}\n" * 2_000 + "</style><table><input type=password>",
            "web_page",
        ),
        ("<html><style>" + "td{color:red}\n" * 2_000 + "</style>Not found", "web_page"),
        ("<html><table><tr><td>user <input><td><input type=hidden>", "web_page"),
        ("<html><table><form action='/users/sign_in'><input type=hidden name=t>", "web_page"),
        ("<html><table><form action=/signin><input type=hidden name=t>", "web_page"),
        (
            "<html><body onload='document.forms[0].submit()'><table><input type=hidden name=SAMLResponse>",
            "web_page",
        ),
        ("<html><meta http-equiv=refresh content='0;/x'><table>", "web_page"),
        ("<html><script>window.location.replace('/x')</script><table>", "web_page"),
        ("<html><table><iframe src=/login>", "web_page"),
        ("<html><body>Not found", "web_page"),
    ],
)
def test_a_table_that_asks_for_nothing_may_be_an_export(page: str, family: str) -> None:
    for form in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        data = page.encode(form)
        found = sniff_file(io.BytesIO(data), data[:4096], "application/vnd.ms-excel")
        assert found == Sniffed("text/html", "txt", family), form  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", ["<input ", "<input type ", "<form log", "onload=", "<form "])
def test_no_page_is_searched_more_than_a_few_times(piece: str) -> None:
    data = ("<html><table>" + piece * 20_000).encode()
    began = time.process_time()
    sniff_file(io.BytesIO(data), data[:4096], "application/vnd.ms-excel")
    assert time.process_time() - began < 1
