"""The describe stage as a Faust app."""

from functools import partial

from connectors.media.preparation import Unfit as NotPrepared
from connectors.models.recipes import vision_recipe
from connectors.models.vision import VisionModel
from schemas.outcomes import Forward
from schemas.records import VisionJob
from schemas.settings import Settings
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, Turn, job_app
from streams.apps.models import ModelWorld, NotStored, recipe_of, unfit
from streams.lanes.app import LaneApp
from streams.stages.asking import Answer, Patience, Recipe, Unfit
from streams.stages.describe import describe


class RealEyes:
    """Stored file → decoder → vision model."""

    def __init__(self, world: ModelWorld, settings: Settings) -> None:
        self._world = world
        self._model = VisionModel(settings.openai)

    async def look(self, job: VisionJob, recipe: Recipe) -> Answer | Unfit:
        try:
            image = await self._world.decoder.prepare_image(
                partial(self._world.stored, job), job.tenant_id
            )
        except NotStored as gone:
            return gone.unfit
        if isinstance(image, NotPrepared):
            return unfit(image)
        key = self._world.tenant(job.tenant_id).openai_key
        return self._world.counted(
            await self._model.describe(
                image.data, image.mime, prompt=recipe.prompt or "", model=recipe.model, api_key=key
            )
        )


def create_app(settings: Settings) -> LaneApp:
    """The app; its worker is started by the `stream` role."""
    world = ModelWorld(settings, "describe")
    eyes = RealEyes(world, settings)

    async def work(turn: Turn[VisionJob]) -> Forward:
        recipe = recipe_of(vision_recipe(world.tenant(turn.job.tenant_id), settings.openai))
        patience = Patience(turn.waited_seconds, settings.openai.retry_seconds)
        return await describe(
            turn.job,
            recipe=recipe,
            eyes=eyes,
            results=world,
            patience=patience,
            source=turn.arrival.source,
            now=utc_now,
        )

    return job_app(settings, JobStage("describe", VisionJob, work, world))
