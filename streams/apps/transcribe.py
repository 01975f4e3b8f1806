"""The transcribe stage as a Faust app."""

from connectors.media.preparation import NotPrepared, PreparedAudio
from connectors.models.answers import ModelAnswer
from connectors.models.errors import SoundTooLong
from connectors.models.recipes import speech_recipes
from connectors.models.servers import AudioFormat, servers_of
from connectors.models.speech import Sound, SpeechModel
from schemas.outcomes import Forward
from schemas.records import AudioJob
from schemas.settings import Settings
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.apps.models import ModelWorld, recipes_of, unfit
from streams.lanes.app import LaneApp
from streams.stages.asking import Answer, Patience, Recipe, Unfit
from streams.stages.transcribe import transcribe

MARGIN_SECONDS = 10.0
"""A part stays so much below the limit: a codec adds a little silence to each."""
WAV_SECONDS = 700.0
"""Of sound at 16 kHz in 16 bits, which stay below the 25 MB of an upload."""
MOST_CUTS = 4
MOST_PARTS = 100
"""A longer sound is not transcribed: one voice note must not be a bill of its own."""
SAFER: dict[AudioFormat, tuple[AudioFormat, ...]] = {
    "as-is": ("mp3", "wav"),
    "mp3": ("wav",),
    "wav": (),
}
"""In which formats a sound is sent again that a server did not take, in order."""


class RealEars:
    """Stored file → decoder → speech model."""

    def __init__(self, world: ModelWorld, settings: Settings) -> None:
        self._world = world
        self._format = servers_of(settings.openai).audio_format
        self._model = SpeechModel(settings.openai)

    async def listen(self, job: AudioJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        async def ask(recipe: Recipe) -> ModelAnswer | Unfit:
            async with self._model.server.turn():
                return await self._ask(job, recipe)

        return await self._world.asked(job, recipes, ask)

    async def _ask(self, job: AudioJob, recipe: Recipe) -> ModelAnswer | Unfit:
        """A sound that the server does not take is sent
        again in the formats that every server reads.
        """
        heard = await self._heard(job, recipe, self._format)
        for safer in SAFER[self._format]:
            if isinstance(heard, Unfit) or heard.failure != "unsupported_by_model":
                break
            again = await self._heard(job, recipe, safer)
            heard = again if isinstance(again, Unfit) else again.after(heard)
        return heard

    async def _heard(
        self, job: AudioJob, recipe: Recipe, audio_format: AudioFormat
    ) -> ModelAnswer | Unfit:
        """Cut into smaller parts as long as the model says that they are too long."""
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
                    api_key=self._world.tenant(job.tenant_id).openai_key,
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
        sound = await self._world.decoder.prepare_audio(
            self._world.load(job), job.tenant_id, audio_format=audio_format, part_seconds=longest
        )
        return unfit(sound) if isinstance(sound, NotPrepared) else sound


def create_app(settings: Settings) -> LaneApp:
    """The app; its worker is started by the `stream` role."""
    how = servers_of(settings.openai)
    world = ModelWorld(settings, "transcribe", how.speech)
    ears = RealEars(world, settings)

    async def work(turn: StageAttempt[AudioJob]) -> Forward:
        tenant = world.tenant(turn.job.tenant_id)
        patience = Patience(turn.waited_seconds, settings.openai.retry_seconds)
        return await transcribe(
            turn.job,
            recipes=recipes_of(speech_recipes(tenant, how)),
            ears=ears,
            results=world,
            patience=patience,
            source=turn.arrival.source,
            now=utc_now,
        )

    return job_app(settings, JobStage("transcribe", AudioJob, work, world))
