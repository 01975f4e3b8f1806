"""A console with sample data, on a port of this machine, for browser tests and screenshots."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import uvicorn

from connectors.console.pages.other_roles import OtherRoles
from connectors.console.pages.passwords import hashed
from schemas.metrics import DURATION_BOUNDS
from schemas.outcomes import Unavailable
from schemas.records import Attachment, EnrichedMessage, Step
from schemas.settings import Settings
from schemas.topics import Names
from storage.postgres.people import EVERY_TENANT, PersonRole
from storage.postgres.repair_plans import (
    Counted,
    HeldRepair,
    Intent,
    ReadByNobody,
    RepairRequest,
)
from storage.postgres.repairs import Repairs
from storage.postgres.stage_minutes import StageMinute, StageMinutes
from streams.local.samples import MEDIA_DIR
from streams.repair.applying import Opened, Prepared
from streams.stages.message import attributes_json, status_of
from tests.integration.console import Console, row, running

PASSWORD = "correct horse battery"
HASHED = hashed(PASSWORD)
RECEIPT = "Factura simplificada de «Ferretería El Niño», Gijón: bombillas LED, cañería, arandelas y un pestillo. Total 27,90 €, pagado con tarjeta."
CAT = "Primer plano de un gato atigrado de ojos verdes que mira hacia un lado."
VOICE = "Hola, buenas tardes. Quería saber si todavía tienen mesa para cuatro el sábado."


@dataclass
class Scene:
    """A console that is served, and the people who may log in with PASSWORD."""

    console: Console
    url: str
    people: dict[str, str]
    repairs: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)

    async def person(self, name: str, role: PersonRole, tenant: str = "acme") -> str:
        """Adds a person; returns the id."""
        pages = self.console.parts.pages
        assert pages is not None
        self.people[name] = await pages.people.add(name, HASHED)
        await pages.people.set_role(tenant, self.people[name], role)
        return self.people[name]

    async def link(self, name: str) -> str:
        pages = self.console.parts.pages
        assert pages is not None
        token = await pages.people.add_link(self.people[name])
        return f"{self.url}/login/link?token={token}"


@dataclass
class Redone:
    """Replaces Kafka: notes what is to be redone, and does what `then` says.

    `dies` is how many portions are lost after they were written, as if the process had
    ended. `unread` says that dedupe of another set of topics runs instead.
    """

    asked: list[tuple[str, str, tuple[str, ...], int]] = field(default_factory=list)
    then: Callable[[Sequence[str]], Awaitable[None]] | None = None
    away: bool = False
    dies: int = 0
    unread: bool = False
    pool: Any = None
    numbers: dict[str, int] = field(default_factory=dict)

    async def next_generation(self, detail: str) -> int:
        return 7

    async def check(self, asked: RepairRequest) -> None:
        if self.unread and asked.kind == "raw":
            raise ReadByNobody("shop", "shop.2", "SENSORIUM_NAMESPACE=shop.2")

    async def count(self, asked: RepairRequest) -> Counted:
        repairs = Repairs(self.pool)
        count = repairs.count_failed if asked.kind == "attachments" else repairs.count_quarantined
        return await count(asked)

    @asynccontextmanager
    async def opened(self, held: HeldRepair) -> AsyncIterator[Opened]:
        yield RedoneOne(self, held)


@dataclass
class RedoneOne:
    """One of its repairs. As in Kafka, the number of a portion is stored with what it wrote."""

    whole: Redone
    held: HeldRepair

    async def committed(self) -> int:
        return self.whole.numbers.get(self.held.repair_id, 0)

    async def following(self, most: int) -> Intent | None:
        if self.whole.away:
            raise Unavailable("kafka")
        return await Repairs(self.whole.pool).following(self.held, most)

    async def prepared(self, intent: Intent) -> Prepared:
        return Prepared(msgspec.structs.replace(intent, redone=len(intent.items)), [])

    async def write(self, portion: Prepared) -> None:
        held, keys = self.held, tuple(str(one[1]) for one in portion.intent.items)
        assert self.whole.numbers.get(held.repair_id, 0) < portion.intent.number
        self.whole.numbers[held.repair_id] = portion.intent.number
        if keys:
            reason = held.reason or held.kind
            self.whole.asked.append((held.tenant_id, reason, keys, held.generation))
        if self.whole.then is not None:
            await self.whole.then(keys)
        if self.whole.dies:
            self.whole.dies -= 1
            raise RuntimeError("the process ended here")


@asynccontextmanager
async def staged(
    stack: Settings,
    names: Names,
    redo: Redone | None = None,
    other_roles: OtherRoles | None = None,
) -> AsyncIterator[Scene]:
    """Runs the console on a free port, with an admin named ana.

    Repairs are applied if `redo` is given.
    """
    async with running(stack, names, redo=redo, other_roles=other_roles) as console:
        server = uvicorn.Server(
            uvicorn.Config(
                console.app, "127.0.0.1", 0, lifespan="off", ws="none", log_config=None, log_level="error",
                timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        scene = Scene(console, f"http://127.0.0.1:{port}", {})
        await scene.person("ana", "admin", EVERY_TENANT)
        pages = console.parts.pages
        assert pages is not None
        if redo is not None:
            redo.pool = pages.pool
        work = (
            [asyncio.create_task(pages.work.run(), name="repair-loop")] if redo is not None else []
        )
        try:
            yield scene
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            console.parts.changes.end()
            server.should_exit = True
            await serving


async def kept(
    console: Console, of: str, name: str, type: str, mime: str, **fields: Any
) -> Attachment:
    """Stores a sample file as an attachment that was described or transcribed."""
    data = (MEDIA_DIR / name).read_bytes()
    stored = await console.keep(data, mime, name.rpartition(".")[2], of=of)
    return msgspec.structs.replace(
        stored, type=type, sha256=hashlib.sha256(data).hexdigest(), filename=None, **fields
    )


def said(
    identifier: str, minutes: float, text: str | None = None, *files: Attachment, **fields: Any
) -> EnrichedMessage:
    """A message of some minutes ago, with its steps."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    attributes = fields.pop("attributes", {})
    kind = fields.pop("kind", files[0].type if files else "text")
    steps = [
        Step(
            stage="dedupe",
            outcome="forwarded",
            topic="raw-messages",
            partition=3,
            offset=4100 + int(minutes),
            at=at,
        )
    ]
    for one in files:
        if one.url:
            steps.append(
                Step(
                    stage="store_media",
                    outcome="stored",
                    topic="media",
                    partition=3,
                    offset=911,
                    at=at + timedelta(seconds=0.84),
                )
            )
        if one.status in ("described", "transcribed"):
            stage, topic = (
                ("describe", "vision") if one.status == "described" else ("transcribe", "audio")
            )
            steps.append(
                Step(
                    stage=stage,
                    outcome=one.status,
                    topic=topic,
                    partition=3,
                    offset=402,
                    at=at + timedelta(seconds=3.1),
                )
            )
        if one.status == "failed":
            steps.append(
                Step(
                    stage="store_media",
                    outcome="failed:media_not_found",
                    topic="media",
                    partition=3,
                    offset=915,
                    at=at + timedelta(seconds=61),
                )
            )
    return row(
        identifier,
        *files,
        content=text,
        kind=kind,
        occurred_at=at,
        received_at=at + timedelta(seconds=0.2),
        attributes=attributes,
        steps=tuple(steps),
        status=fields.pop("status", status_of(files)),
        **{"sender_name": "Mariana Torres", "sender_id": "15550100001"} | fields,
    )  # fmt: skip


def later(first: EnrichedMessage, *files: Attachment) -> EnrichedMessage:
    """The next version of a message, with the outcomes of its files."""
    return msgspec.structs.replace(
        first,
        attachments=files,
        content_attributes=attributes_json(files, {}),
        status=status_of(files),
        version=first.version + 1,
        steps=said("again", 1, None, *files).steps,
    )


BOT = {"role": "assistant", "direction": "outbound", "sender_name": None, "sender_id": None}
AGENT = {"role": "agent", "direction": "outbound", "sender_name": "Luis", "sender_id": "7"}


async def day_of_flow(console: Console, minutes: int = 3) -> None:
    """A day of figures that the processes of the pipeline wrote every few minutes.

    The afternoon is the busiest time.
    """
    rows, now = [], datetime.now(UTC).replace(second=0, microsecond=0)
    busy = {"receive": 1.0, "dedupe": 1.0, "store_media": 0.3, "describe": 0.22, "transcribe": 0.08, "assemble": 1.4, "sink": 1.3}  # fmt: skip
    words = {"receive": "accepted", "describe": "forwarded", "sink": "written"}
    places = {"store_media": 8, "describe": 11, "transcribe": 11, "sink": 4}
    for ago in range(0, 24 * 60, minutes):
        wave = 1.2 + math.sin(ago / 229) + 0.25 * math.sin(ago / 17)
        for number, (stage, share) in enumerate(busy.items()):
            records = round(520 * share * max(0.1, wave) * (1 + 0.1 * math.sin(ago / 5 + number)))
            failed = records // 97 if stage in ("store_media", "describe") else 0
            outcomes = {words.get(stage, "forwarded"): records - failed, "failed": failed}
            took = [0] * (len(DURATION_BOUNDS) + 1)
            took[places.get(stage, 5) + (ago // 211 + number) % 2] = records
            rows.append(
                StageMinute(
                    now - timedelta(minutes=ago), stage, "a1", records, records / 60,
                    {word: count for word, count in outcomes.items() if count}, took,
                    records // 40 if number else 0, records // 9 if stage == "describe" else 0,
                    34.0 if stage == "describe" else 0.4,
                )
            )  # fmt: skip
    for one in reversed(rows):
        await StageMinutes(console.connection).write(one)
    await console.connection.execute(
        "UPDATE stage_minutes SET written_at = now() + interval '5 minutes'"
    )
    for back in range(9):
        await console.connection.execute(
            "INSERT INTO ai_usage VALUES ('acme', current_date - $1::integer, 'describe', 'gpt-4o', $2, 9, 9, $3)",
            back, 310 - 17 * back, 812_000 - 41_000 * back,
        )  # fmt: skip


async def play(console: Console) -> None:
    """Stores conversations of a small business, with one of everything."""
    receipt = await kept(
        console,
        "m2",
        "receipt-es.jpg",
        "image",
        "image/jpeg",
        status="described",
        description=RECEIPT,
        model="gpt-4o",
    )
    voice = await kept(
        console,
        "m4",
        "voice-es.mp3",
        "audio",
        "audio/mpeg",
        status="transcribed",
        transcript=VOICE,
        model="whisper-1",
    )
    cat = await kept(
        console,
        "m9",
        "cat.jpg",
        "image",
        "image/jpeg",
        status="described",
        description=CAT,
        model="gpt-4o",
    )
    gone = Attachment(
        index=0,
        type="image",
        status="failed",
        reason="media_not_found",
        original_url="https://files.example.com/gone",
    )
    pending = await kept(console, "n3", "coffee.jpg", "image", "image/jpeg", status="pending")
    place = {
        "locations": [
            {
                "latitude": "19.4326",
                "longitude": "-99.1332",
                "name": "La Esquina",
                "address": "Av. Juárez 12, Centro",
            }
        ]
    }
    card = {"contacts": [{"name": "Taxi Ramírez", "phones": [{"phone": "+52 55 5555 0199"}]}]}
    order = {
        "order": {
            "items": [
                {"name": "Pan de muerto", "quantity": "2", "item_price": "45", "currency": "MXN"},
                {"name": "Café de olla", "quantity": "1", "item_price": "38", "currency": "MXN"},
            ]
        }
    }
    first = [
        said("m1", 47, "Hola, ¿tienen disponibilidad para el sábado? 🙂"),
        said("m1b", 46, "¡Hola, Mariana! Sí, ¿para cuántas personas y a qué hora?", **BOT),
        said("m4", 44, None, voice),
        said("m5", 43, "Listo: mesa para cuatro, sábado 20:00. ¿Me compartes tu recibo anterior para aplicar el descuento?", **BOT),
        said("m2", 41, "Mi recibo", receipt),
        said("m3", 40, "Cliente frecuente: aplicar 10 %.", kind="note", **AGENT),
        said("m6", 38, "Perfecto, ya quedó el 10 % de descuento.", attributes={"quoted": {"id": "m2", "text": "Mi recibo"}}, **AGENT),
        said("m7", 30, None, gone),
        said("m8", 29, None, kind="location", attributes=place),
        said("m8b", 28, None, kind="contact", attributes=card),
        said("m8c", 20, None, kind="order", attributes=order),
        said("m8d", 12, "Mejor no, gracias", attributes={"deleted": True}),
        said("m9", 3, "Y este es el jefe de la casa", cat),
        said("m10", 2, None, kind="reaction", attributes={"reaction": {"message_id": "m6", "emoji": "❤️"}}),
    ]  # fmt: skip
    others = [
        said("n1", 5, "Buenos días, ¿a qué hora abren?", conversation_id="15550109999~15550100002", sender_name="Jorge Pineda"),
        said("n2", 4, "Abrimos a las 8:00.", conversation_id="15550109999~15550100002", **BOT),
        said("n3", 1, "¿Tienen de este café?", pending, conversation_id="15550109999~15550100003", sender_name="Ximena"),
        said("n4", 95, None, kind="audio", conversation_id="15550109999~15550100004", sender_name="Don Ernesto", status="complete"),
        said("n5", 60 * 30, "Gracias por todo, nos vemos pronto.", conversation_id="15550109999~15550100005", sender_name="Familia Ochoa"),
        said("n6", 60 * 26, "Can I book a table in English?", conversation_id="1~42", provider="chatwoot", message_key="acme:chatwoot:1/42", sender_name="Harriet Cole"),
    ]  # fmt: skip
    await console.write(*first, *others)
