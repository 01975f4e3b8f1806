"""The pages of a chat, of its context and of a message show everything that a message can contain."""

import re

import msgspec

from schemas.keys import TenantId
from schemas.records import Attachment
from tests.browser.scene import Scene, play, said
from tests.integration.console import CONVERSATION, key_of
from tests.integration.people import Visitor

ACME = TenantId("acme")
DIGEST = "ca" * 32


async def page(visitor: Visitor, path: str) -> str:
    return re.sub(r"\s+", " ", (await visitor.get(path)).text)


def ref_of(scene: Scene, kind: str, identifier: str) -> str:
    pages = scene.console.parts.pages
    assert pages is not None
    return pages.refs.of(ACME, kind, identifier)


def bubble_of(chat: str, words: str) -> str:
    """The one bubble of a chat with these words."""
    (found,) = [one for one in chat.split('class="bubble')[1:] if words in one]
    return found


async def test_a_chat_shows_places_cards_orders_notes_and_deletions(
    scene: Scene, visitor: Visitor
) -> None:
    await play(scene.console)
    chat = await page(visitor, f"/t/acme/c/{ref_of(scene, 'c', CONVERSATION)}")
    place = bubble_of(chat, "La Esquina")
    assert "Av. Juárez 12, Centro" in place and "19.4326, -99.1332" in place
    assert "+52 55 5555 0199" in bubble_of(chat, "Taxi Ramírez")
    order = bubble_of(chat, "Pan de muerto")
    assert "2 × Pan de muerto" in order and "1 × Café de olla" in order
    assert "Private note" in bubble_of(chat, "Cliente frecuente")
    assert "Private note" not in bubble_of(chat, "Perfecto, ya quedó")
    assert "deleted" in bubble_of(chat, "Mejor no, gracias").lower()


async def test_a_chat_shows_a_document_with_its_name_and_size_to_save(
    scene: Scene, visitor: Visitor
) -> None:
    stored = await scene.console.keep(b"%PDF-1.4" * 256, "application/pdf", "pdf", of="d")
    bill = msgspec.structs.replace(stored, type="document", filename="factura.pdf")
    await scene.console.write(said("d", 1, "la factura", bill, kind="document"))
    chat = await page(visitor, f"/t/acme/c/{ref_of(scene, 'c', CONVERSATION)}")
    shown = bubble_of(chat, "la factura")
    (address,) = re.findall(r'href="([^"]+)" download="factura.pdf"', shown)
    assert "<strong>factura.pdf</strong>" in shown and "application/pdf · 2" in shown
    assert (await visitor.get(address)).content == b"%PDF-1.4" * 256


async def test_the_context_has_the_line_that_bots_read_of_a_picture(
    scene: Scene, visitor: Visitor
) -> None:
    stored = await scene.console.keep(b"meow", "image/png", "png", of="m1")
    cat = msgspec.structs.replace(stored, type="image", status="described", description="un gato")
    await scene.console.write(said("m1", 1, None, cat))
    shown = await page(visitor, f"/t/acme/c/{ref_of(scene, 'c', CONVERSATION)}/context")
    (visual,) = re.findall(r'<pre class="visual">(.*?)</pre>', shown)
    assert "[CONTEXTO VISUAL: un gato]" in visual


async def test_a_message_shows_the_calls_of_models_and_the_tries_of_its_jobs(
    scene: Scene, visitor: Visitor
) -> None:
    cat = Attachment(
        index=0, type="image", status="described", description="a cat", sha256=DIGEST, model="gpt-4o"
    )  # fmt: skip
    await scene.console.write(said("m1", 1, None, cat))
    await scene.console.connection.execute(
        "INSERT INTO ai_results (tenant_id, sha256, recipe, kind, text, refused, model, prompt_version,"
        " input_tokens, output_tokens, cost_microusd, latency_ms) VALUES"
        " ('acme', $1, 'recipe-9', 'describe', 'a cat', false, 'gpt-4o', '1', 812, 64, 2670, 1900),"
        " ('other', $1, 'recipe-of-other', 'describe', 'a cat', false, 'gpt-4o', '1', 1, 1, 1, 1)",
        DIGEST,
    )
    await scene.console.connection.execute(
        "INSERT INTO job_attempts VALUES ('acme', $1, 0, 'describe', 0, 3, 'model_unavailable', 'x',"
        " now() - interval '1 hour', now() - interval '1 minute', NULL)",
        key_of("m1"),
    )
    shown = await page(visitor, f"/t/acme/m/{ref_of(scene, 'm', key_of('m1'))}")
    (call,) = re.findall(r"<tr><td>gpt-4o.*?</tr>", shown)
    assert "recipe-9" in call and "812 + 64" in call and "1.9" in call and "0.0027" in call
    assert "recipe-of-other" not in shown
    (tries,) = [one for one in re.findall(r"<tr>.*?</tr>", shown) if 'data-label="Tries"' in one]
    assert ">3</td>" in tries and "no more" in tries
