"""The siblings: receiver processes that one parent started at one port.

The kernel chooses which of them gets a connection. So `/readyz` must be true of all of
them, and `/metrics` must show all of them. Each process listens on a Unix socket in the
parent's folder, where its siblings ask it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

ASK_SECONDS = 2.0
_LABEL = "process"


class Siblings:
    """The processes 0 to `count` - 1. This process is number `index`."""

    def __init__(self, folder: Path, index: int, count: int) -> None:
        self._folder = folder
        self._index = index
        self._count = count

    async def serve(self, ready: Callable[[], bool], metrics: Callable[[], bytes]) -> None:
        """Answers the siblings until it is cancelled."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                question = await reader.readline()
                if question == b"metrics\n":
                    writer.write(metrics())
                else:
                    writer.write(b"ready" if ready() else b"not ready")
                await writer.drain()
            writer.close()

        own = self._socket(self._index)
        own.unlink(missing_ok=True)  # left by an earlier process that died
        server = await asyncio.start_unix_server(answer, own)
        async with server:
            await server.serve_forever()

    async def are_ready(self) -> bool:
        """True if all siblings answer in time that they are ready."""
        return all(answer == b"ready" for _, answer in await self._ask_all(b"ready\n"))

    async def metrics(self, own: bytes) -> bytes:
        """The metrics of this process and of each sibling that answers, with the label `process`.

        An answer that does not end with a line end is incomplete and is left out.
        """
        texts = [(self._index, own), *await self._ask_all(b"metrics\n")]
        return merged(sorted((index, text) for index, text in texts if text.endswith(b"\n")))

    async def _ask_all(self, question: bytes) -> list[tuple[int, bytes]]:
        others = [index for index in range(self._count) if index != self._index]
        answers: list[Awaitable[bytes]] = [self._ask(index, question) for index in others]
        return list(zip(others, await asyncio.gather(*answers), strict=True))

    async def _ask(self, index: int, question: bytes) -> bytes:
        """The sibling's answer, or empty bytes if it does not answer in time."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket(index))
                try:
                    writer.write(question)
                    return await reader.read(-1)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return b""

    def _socket(self, index: int) -> Path:
        return self._folder / f"{index}.sock"


def merged(texts: Iterable[tuple[int, bytes]]) -> bytes:
    """Merges the metrics of several processes into one text.

    Each family appears once, and each sample has the number of its process.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for index, text in texts:
        family = ""
        for line in text.decode().splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                heads.setdefault(family, [])
            if not line.startswith("#"):
                samples.setdefault(family, []).append(_labelled(line, index))
            elif line not in heads.setdefault(family, []):
                heads[family].append(line)
    lines = [line for family in heads for line in (*heads[family], *samples.get(family, ()))]
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(sample: str, index: int) -> str:
    """Adds the label to a sample of the form `name{a="b"} 1` or `name 1`."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{{_LABEL}="{index}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{{_LABEL}="{index}"}} {value}'
