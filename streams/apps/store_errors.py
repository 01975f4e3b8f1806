"""The reaction of the job stages to settings of the object store that became wrong."""

import structlog

from schemas.outcomes import Unavailable
from storage.objects.store import ObjectStoreMisconfigured

log = structlog.get_logger()


def waiting_for_a_person(wrong: ObjectStoreMisconfigured) -> Unavailable:
    """Logs the wrong settings and returns the Unavailable to raise.

    Wrong settings say nothing about the item, so it waits.
    """
    log.error("object_store_misconfigured", detail=str(wrong))
    return Unavailable("object_store", 30.0, detail=str(wrong))
