"""describe: asks a vision model what a stored image shows."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from schemas.models import Answer, Recipe
from schemas.outcomes import Forward
from schemas.records import Source, VisionJob
from streams.stages.model_jobs import Patience, Question, Results, Unfit, answer


class ImageDescriber(Protocol):
    """Loads and converts the stored image, and asks the first available model.

    Raises Unavailable if a later try may succeed.
    """

    async def describe(self, job: VisionJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit: ...


async def describe(
    job: VisionJob,
    *,
    recipes: tuple[Recipe, ...],
    describer: ImageDescriber,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """Turns one image job into one `described`, `failed` or `skipped` enrichment.

    The answer is recorded before it is forwarded.
    """
    question = Question("describe", "described", recipes, lambda: describer.describe(job, recipes))
    return await answer(job, question, results=results, patience=patience, source=source, now=now)
