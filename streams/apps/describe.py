"""The describe stage as a Faust app."""

from functools import partial

from connectors.media.preparation import NotPrepared
from connectors.models.answers import ModelAnswer
from connectors.models.recipes import vision_recipes
from connectors.models.servers import servers_of
from connectors.models.vision import VisionModel
from schemas.models import Answer, Recipe
from schemas.outcomes import Forward
from schemas.records import VisionJob
from schemas.settings import Settings
from streams.apps.encoding import utc_now
from streams.apps.jobs import JobStage, StageAttempt, job_app
from streams.apps.models import ModelClients, unfit
from streams.lanes.app import LaneApp
from streams.stages.describe import describe
from streams.stages.model_jobs import Patience, Unfit

PLAIN_SIDE = 1_024
"""Longest side, in pixels, of the plain JPEG sent to a server that did not take the first form."""


class StoredImageDescriber:
    """Describes a stored image: object store, then decoder, then vision model."""

    def __init__(self, clients: ModelClients, settings: Settings) -> None:
        self._clients = clients
        self._servers = servers_of(settings.openai)
        self._model = VisionModel(settings.openai)

    async def describe(self, job: VisionJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit:
        turn = self._model.server.turn
        return await self._clients.ask(job, recipes, turn, partial(self._ask, job))

    async def _ask(self, job: VisionJob, recipe: Recipe) -> ModelAnswer | Unfit:
        """Asks the model once.

        An image that the server does not take is sent once more as a small plain JPEG.
        """
        servers = self._servers
        first = await self._describe(job, recipe, servers.image_side, servers.image_formats)
        if isinstance(first, Unfit) or first.failure != "unsupported_by_model":
            return first
        side = min(PLAIN_SIDE, servers.image_side)
        plain = await self._describe(job, recipe, side, frozenset())
        return plain if isinstance(plain, Unfit) else plain.after(first)

    async def _describe(
        self, job: VisionJob, recipe: Recipe, side: int, formats: frozenset[str]
    ) -> ModelAnswer | Unfit:
        image = await self._clients.decoder.prepare_image(
            self._clients.load(job), job.tenant_id, longest_side=side, formats=formats
        )
        if isinstance(image, NotPrepared):
            return unfit(image)
        return await self._model.describe(
            image.data,
            image.mime,
            prompt=recipe.prompt or "",
            model=recipe.model,
            api_key=self._clients.tenant(job.tenant_id).openai_key,
        )


def create_app(settings: Settings) -> LaneApp:
    """Builds the app. The `stream` role starts its worker."""
    servers = servers_of(settings.openai)
    clients = ModelClients(settings, "describe", servers.vision)
    describer = StoredImageDescriber(clients, settings)

    async def work(attempt: StageAttempt[VisionJob]) -> Forward:
        tenant = clients.tenant(attempt.job.tenant_id)
        patience = Patience(attempt.waited_seconds, settings.openai.retry_seconds)
        return await describe(
            attempt.job,
            recipes=vision_recipes(tenant, servers),
            describer=describer,
            results=clients,
            patience=patience,
            source=attempt.arrival.source,
            now=utc_now,
        )

    return job_app(settings, JobStage("describe", VisionJob, work, clients))
