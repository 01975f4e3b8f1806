import json
from typing import Any

import pytest

from connectors.console.pages.previews import preview
from connectors.console.pages.words import Words


def row(kind: str, provider: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("content", "description", "transcript", "filename"))
    data = None if provider is None else json.dumps(provider)
    return {"message_key": "acme:ycloud:1", "kind": kind, "provider_data": data} | empty | fields


HEART = {"reaction": {"message_id": "m", "emoji": "❤️"}}
PLACE = {"locations": [{"name": "La Esquina", "latitude": "19.4", "longitude": "-99.1"}]}
CARD = {"contacts": [{"name": "Taxi", "phones": [{"phone": "+52 55"}]}]}
ORDER = {"order": {"items": [{"name": "Pan", "quantity": "2"}]}}
CASES = [
    (row("text", content="hola\n\n qué  tal"), "hola qué tal", "hola qué tal"),
    (row("note", {}, content="ojo"), "ojo", "ojo"),
    (row("image", content="mi gato", description="Un gato."), "mi gato", "mi gato"),
    (row("image", description="Un gato."), "Un gato.", "Un gato."),
    (row("image"), "Picture", "Imagen"),
    (row("sticker"), "Sticker", "Sticker"),
    (row("audio", transcript="dos cafés"), "dos cafés", "dos cafés"),
    (row("audio"), "Voice note", "Nota de voz"),
    (row("document", filename="factura.pdf"), "factura.pdf", "factura.pdf"),
    (row("mixed"), "Several files", "Varios archivos"),
    (
        row("location", PLACE),
        "Location: La Esquina (19.4, -99.1)",
        "Ubicación: La Esquina (19.4, -99.1)",
    ),
    (row("location", {"locations": ["?"]}), "Location", "Ubicación"),
    (row("contact", CARD), "Contact: Taxi, +52 55", "Contacto: Taxi, +52 55"),
    (row("order", ORDER), "Order: 2 × Pan", "Pedido: 2 × Pan"),
    (row("interactive", {"interactive": {"title": "Sí"}}), "Answer: Sí", "Respuesta: Sí"),
    (row("reaction", HEART), "❤️ reacted", "❤️ reaccionó"),
    (
        row("reaction", {"reaction": HEART["reaction"] | {"removed": True}}),
        "Took back a reaction",
        "Quitó una reacción",
    ),
    (
        row("text", {"deleted": True}, content="no lo leas"),
        "Deleted by its sender",
        "Eliminado por quien lo envió",
    ),
    (
        row("unsupported", {"unsupported": {"type": "edit"}}),
        "Edited an earlier message",
        "Editó un mensaje anterior",
    ),
    (
        row("unsupported", {"unsupported": {"type": "unsupported", "detail": "revoke"}}),
        "Deleted an earlier message",
        "Borró un mensaje anterior",
    ),
    (row("system", content="Ana entró"), "Ana entró", "Ana entró"),
]


@pytest.mark.parametrize(("shown", "english", "spanish"), CASES)
def test_every_kind_of_message_reads_well_in_one_line(
    shown: dict[str, Any], english: str, spanish: str
) -> None:
    assert preview(shown, Words("en"), is_masked=False) == english
    assert preview(shown, Words("es"), is_masked=False) == spanish


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (row("text", content="clave"), ""),
        (row("note", content="clave"), ""),
        (row("mixed", content="clave"), ""),
        (row("image", content="clave", description="clave"), "Picture"),
        (row("document", filename="clave.pdf"), "Document"),
        (row("location", PLACE), "Location"),
        (row("reaction", HEART), "Reaction"),
        (row("text", {"deleted": True}, content="clave"), "Deleted by its sender"),
    ],
)
def test_a_masked_line_says_the_kind_and_nothing_of_the_content(
    shown: dict[str, Any], line: str
) -> None:
    assert preview(shown, Words("en"), is_masked=True) == line


def test_a_reaction_without_emoji_was_taken_back_and_one_without_data_is_only_named() -> None:
    bare = row("reaction", {"reaction": {"message_id": "m", "emoji": ""}})
    assert preview(bare, Words("en"), is_masked=False) == "Took back a reaction"
    assert preview(row("reaction"), Words("en"), is_masked=False) == "Reaction"
