"""The transcribe stage as a Faust app."""

from functools import partial

from connectors.media.preparation import Unfit as NotPrepared
from connectors.models.recipes import speech_recipe
from connectors.models.speech import SpeechModel
from schemas.outcomes import Forward
from schemas.records import AudioJob
from schemas.settings import Settings
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, Turn, job_app
from streams.apps.models import ModelWorld, NotStored, recipe_of, unfit
from streams.lanes.app import LaneApp
from streams.stages.asking import Answer, Patience, Recipe, Unfit
from streams.stages.transcribe import transcribe


class RealEars:
    """Stored file → decoder → speech model."""

    def __init__(self, world: ModelWorld, settings: Settings) -> None:
        self._world = world
        self._model = SpeechModel(settings.openai)

    async def listen(self, job: AudioJob, recipe: Recipe) -> Answer | Unfit:
        try:
            sound = await self._world.decoder.prepare_audio(
                partial(self._world.stored, job), job.tenant_id
            )
        except NotStored as gone:
            return gone.unfit
        if isinstance(sound, NotPrepared):
            return unfit(sound)
        (part,) = sound.parts
        heard = await self._model.transcribe(
            part.data,
            part.filename,
            part.mime,
            prompt=recipe.prompt,
            language=recipe.language,
            model=recipe.model,
            api_key=self._world.tenant(job.tenant_id).openai_key,
            seconds=sound.duration_seconds,
        )
        return self._world.counted(heard)


def create_app(settings: Settings) -> LaneApp:
    """The app; its worker is started by the `stream` role."""
    world = ModelWorld(settings, "transcribe")
    ears = RealEars(world, settings)

    async def work(turn: Turn[AudioJob]) -> Forward:
        recipe = recipe_of(speech_recipe(world.tenant(turn.job.tenant_id), settings.openai))
        patience = Patience(turn.waited_seconds, settings.openai.retry_seconds)
        return await transcribe(
            turn.job,
            recipe=recipe,
            ears=ears,
            results=world,
            patience=patience,
            source=turn.arrival.source,
            now=utc_now,
        )

    return job_app(settings, JobStage("transcribe", AudioJob, work, world))
