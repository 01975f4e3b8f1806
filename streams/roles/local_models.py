"""Serves the local vision and speech models.

The stand-in takes the place of a model whose engine or weights are missing.

The engines are imported here and in no other process.
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
from connectors.engines.outcomes import RequestRefused, Transcript
from schemas.settings import Local
from streams.errors import StreamsError
from streams.local.weights import naming_model, whisper_at
from streams.roles.stand_in import NAME, SPEECH_DOES, VISION_DOES, listen_to, look_at

log = structlog.get_logger()

MEMORY_BYTES = 4 * 1024**3
"""The limit of the address space, not of resident memory.

The engines map their files and reserve more than they use.
"""
DRAIN_SECONDS = 10


class WeightsMissing(StreamsError):
    """The published weights are not on this machine: `sensorium parts` fetches them."""


class StandInVision:
    """The stand-in's answers about pictures."""

    name = NAME
    does = VISION_DOES

    def look(self, picture: bytes, *, spanish: bool) -> str:
        try:
            return look_at(picture)
        except HTTPException as error:
            raise RequestRefused(error.status_code, error.detail) from error


class StandInSpeech:
    """The stand-in's answers about sounds."""

    name = NAME
    does = SPEECH_DOES

    def hear(
        self, sound: bytes, *, language: str | None, prompt: str | None, stop: Callable[[], bool]
    ) -> Transcript:
        try:
            return Transcript(listen_to(sound), 0.0)
        except HTTPException as error:
            raise RequestRefused(error.status_code, error.detail) from error


def load_picture_model(settings: Local) -> LocalPictureModel:
    """Loads the vision model, or the stand-in if its engine is not installed."""
    try:
        from connectors.engines.picture_engine import PictureEngine

        return PictureEngine(naming_model=naming_model(), threads=settings.threads)
    except ImportError as error:
        log.warning("picture_model_replaced", error=f"{type(error).__name__}: {error}")
        return StandInVision()


def load_speech_model(settings: Local) -> LocalSpeechModel:
    """Loads the speech model, or the stand-in if its engine or weights are missing."""
    try:
        from connectors.engines.speech_engine import SpeechEngine

        weights = whisper_at(settings.whisper_dir)
        if weights is None:
            raise WeightsMissing("whisper-base")
        return SpeechEngine(weights, settings.threads)
    except (ImportError, WeightsMissing) as error:
        log.warning("speech_model_replaced", error=f"{type(error).__name__}: {error}")
        return StandInSpeech()


def bound_this_process(threads: int) -> None:
    """Limits threads and memory.

    Must run before the engines are imported, because they read these variables once.
    """
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

    It answers at once, and is ready after both models are loaded.
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
            senses.eyes = await asyncio.to_thread(load_picture_model, settings)
            senses.ears = await asyncio.to_thread(load_speech_model, settings)
        except BaseException:
            server.should_exit = True
            raise
        log.info("models_loaded", eyes=senses.eyes.name, ears=senses.ears.name)

    loading = asyncio.create_task(load())
    await server.serve()
    if loading.done():
        loading.result()  # what it raised ends the role
