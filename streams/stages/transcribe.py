"""transcribe: what a speech model hears in a stored voice note."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from schemas.outcomes import Forward
from schemas.records import AudioJob, Source
from streams.stages.asking import Answer, Patience, Question, Recipe, Results, Unfit, answer


class Transcriber(Protocol):
    """Fetches the stored sound, makes it fit for a model, and asks the first model that is served.

    Raises Unavailable for what may get better.
    """

    async def listen(self, job: AudioJob, recipes: tuple[Recipe, ...]) -> Answer | Unfit: ...


async def transcribe(
    job: AudioJob,
    *,
    recipes: tuple[Recipe, ...],
    ears: Transcriber,
    results: Results,
    patience: Patience,
    source: Source,
    now: Callable[[], datetime],
) -> Forward:
    """One sound in, one `transcribed` (or failed, skipped) out; the answer is recorded before it is
    forwarded.
    """
    question = Question("transcribe", "transcribed", recipes, lambda: ears.listen(job, recipes))
    return await answer(job, question, results=results, patience=patience, source=source, now=now)
