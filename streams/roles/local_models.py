"""Eyes and ears on this machine: real where the engines and the weights are, else the stand-in's.

The engines are imported here and in no other process. Each sense falls back on its own.
"""

import asyncio
import logging
import os
import resource
from collections.abc import Callable

import structlog
import uvicorn
from fastapi import HTTPException

from connectors.engines.app import Engines, LocalPictureModel, LocalSpeechModel, create_app
from connectors.engines.outcomes import Heard, RequestRefused
from schemas.settings import Local
from streams.errors import StreamsError
from streams.local.weights import naming_model, whisper_at
from streams.roles.stand_in import EARS_DO, EYES_DO, NAME, listen_to, look_at

log = structlog.get_logger()

MEMORY_BYTES = 4 * 1024**3
"""Of addresses, not of memory: the engines map
their files and reserve more than they touch.
"""
DRAIN_SECONDS = 10


class WeightsMissing(StreamsError):
    """The published weights are not on this machine: `sensorium parts` fetches them."""


class StandInEyes:
    name = NAME
    does = EYES_DO

    def look(self, picture: bytes, *, spanish: bool) -> str:
        try:
            return look_at(picture)
        except HTTPException as error:
            raise RequestRefused(error.status_code, error.detail) from error


class StandInEars:
    name = NAME
    does = EARS_DO

    def hear(
        self, sound: bytes, *, language: str | None, prompt: str | None, stop: Callable[[], bool]
    ) -> Heard:
        try:
            return Heard(listen_to(sound), 0.0)
        except HTTPException as error:
            raise RequestRefused(error.status_code, error.detail) from error


def load_eyes(settings: Local) -> LocalPictureModel:
    try:
        from connectors.engines.picture_engine import PictureEngine

        return PictureEngine(naming_model=naming_model(), threads=settings.threads)
    except ImportError as error:
        log.warning("stand_in_sees", error=f"{type(error).__name__}: {error}")
        return StandInEyes()


def load_ears(settings: Local) -> LocalSpeechModel:
    try:
        from connectors.engines.speech_engine import SpeechEngine

        weights = whisper_at(settings.whisper_dir)
        if weights is None:
            raise WeightsMissing("whisper-base")
        return SpeechEngine(weights, settings.threads)
    except (ImportError, WeightsMissing) as error:
        log.warning("stand_in_hears", error=f"{type(error).__name__}: {error}")
        return StandInEars()


def bound_this_process(threads: int) -> None:
    """Before the engines are imported: they read these variables once."""
    os.environ |= {
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


async def serve(host: str, port: int, settings: Local) -> None:
    """Runs until SIGTERM.

    It answers at once, and is ready when both senses are loaded.
    """
    bound_this_process(settings.threads)
    senses = Engines()
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(senses, places=settings.waiting),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )

    async def load() -> None:
        try:
            senses.eyes = await asyncio.to_thread(load_eyes, settings)
            senses.ears = await asyncio.to_thread(load_ears, settings)
        except BaseException:
            server.should_exit = True
            raise
        log.info("models_loaded", eyes=senses.eyes.name, ears=senses.ears.name)

    loading = asyncio.create_task(load())
    await server.serve()
    if loading.done():
        loading.result()  # what it raised ends the role
