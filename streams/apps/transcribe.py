"""The transcribe stage as a Faust app."""

from functools import partial

from connectors.media.preparation import NotPrepared, PreparedAudio
from connectors.models.answers import ModelAnswer
from connectors.models.errors import SoundTooLong
from connectors.models.recipes import speech_recipes
from connectors.models.servers import AudioFormat, servers_of
from connectors.models.speech import Sound, SpeechModel
from schemas.models import Answer, Recipe
from schemas.outcomes import Forward
from schemas.records import AudioJob
from schemas.settings import Settings
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.apps.models import ModelClients, unfit
from streams.lanes.app import LaneApp
from streams.stages.model_jobs import Patience, Unfit
from streams.stages.transcribe import transcribe

MARGIN_SECONDS = 10.0
"""A part stays this far below the model's limit, because codecs add a little silence."""
WAV_SECONDS = 700.0
"""The longest sound at 16 kHz and 16 bits that stays below the 25 MB of an upload."""
MOST_CUTS = 4
MOST_PARTS = 100
"""A sound of more parts is not transcribed, so that one voice note cannot cost too much."""
SAFER: dict[AudioFormat, tuple[AudioFormat, ...]] = {
    "as-is": ("mp3", "wav"),
    "mp3": ("wav",),
    "wav": (),
}
"""Maps each format to those to try next, in order, if the server did not accept it."""


class StoredAudioTranscriber:
    """Transcribes a stored sound: object store, then decoder, then speech model."""

    def __init__(self, clients: ModelClients, settings: Settings) -> None:
        self._clients = clients
        self._format = servers_of(settings.openai).audio_format
        self._model = SpeechModel(settings.openai)

    async def transcribe(self, job: AudioJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        turn = self._model.server.turn
        return await self._clients.ask(job, recipes, turn, partial(self._ask, job))

    async def _ask(self, job: AudioJob, recipe: Recipe) -> ModelAnswer | Unfit:
        """Asks the model.

        A sound that the server does not take is sent again in the formats that every
        server reads.
        """
        answer = await self._transcribe(job, recipe, self._format)
        for safer in SAFER[self._format]:
            if isinstance(answer, Unfit) or answer.failure != "unsupported_by_model":
                break
            again = await self._transcribe(job, recipe, safer)
            answer = again if isinstance(again, Unfit) else again.after(answer)
        return answer

    async def _transcribe(
        self, job: AudioJob, recipe: Recipe, audio_format: AudioFormat
    ) -> ModelAnswer | Unfit:
        """Sends the sound, in smaller parts as long as the model answers that they are too long."""
        for _ in range(MOST_CUTS):
            limit = self._model.server.traits(recipe.model).sound_seconds
            sound = await self._prepared(job, audio_format, limit)
            if isinstance(sound, Unfit):
                return sound
            if len(sound.parts) > MOST_PARTS:
                break
            parts = [
                Sound(part.data, part.filename, part.mime, part.duration_seconds)
                for part in sound.parts
            ]
            try:
                return await self._model.transcribe_parts(
                    parts,
                    prompt=recipe.prompt,
                    language=recipe.language,
                    model=recipe.model,
                    api_key=self._clients.tenant(job.tenant_id).openai_key,
                )
            except SoundTooLong:
                continue
        return Unfit("audio_too_long")

    async def _prepared(
        self, job: AudioJob, audio_format: AudioFormat, limit: float | None
    ) -> PreparedAudio | Unfit:
        longest = None if limit is None else max(limit / 2, limit - MARGIN_SECONDS)
        if audio_format == "wav":
            longest = min(longest or WAV_SECONDS, WAV_SECONDS)
        sound = await self._clients.decoder.prepare_audio(
            self._clients.load(job), job.tenant_id, audio_format=audio_format, part_seconds=longest
        )
        return unfit(sound) if isinstance(sound, NotPrepared) else sound


def create_app(settings: Settings) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    servers = servers_of(settings.openai)
    clients = ModelClients(settings, "transcribe", servers.speech)
    transcriber = StoredAudioTranscriber(clients, settings)

    async def work(attempt: StageAttempt[AudioJob]) -> Forward:
        tenant = clients.tenant(attempt.job.tenant_id)
        patience = Patience(attempt.waited_seconds, settings.openai.retry_seconds)
        return await transcribe(
            attempt.job,
            recipes=speech_recipes(tenant, servers),
            transcriber=transcriber,
            results=clients,
            patience=patience,
            source=attempt.arrival.source,
            now=utc_now,
        )

    return job_app(settings, JobStage("transcribe", AudioJob, work, clients))
