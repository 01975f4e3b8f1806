"""describe: what a vision model sees in a stored image."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from schemas.outcomes import Forward
from schemas.records import Source, VisionJob
from streams.stages.asking import Answer, Patience, Question, Recipe, Results, Unfit, answer


class ImageDescriber(Protocol):
    """Fetches the stored image, makes it fit for a model, and asks the first model that is served.

    Raises Unavailable for what may get better.
    """

    async def look(self, job: VisionJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit: ...


async def describe(
    job: VisionJob,
    *,
    recipes: tuple[Recipe, ...],
    eyes: ImageDescriber,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """One image in, one `described` (or failed, skipped) out; the answer is recorded before it is
    forwarded.
    """
    question = Question("describe", "described", recipes, lambda: eyes.look(job, recipes))
    return await answer(job, question, results=results, patience=patience, source=source, now=now)
