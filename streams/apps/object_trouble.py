"""How the job stages treat an object store whose settings became wrong while they run."""

import structlog

from schemas.outcomes import Unavailable
from storage.objects.store import ObjectStoreMisconfigured

log = structlog.get_logger()


def waiting_for_a_person(wrong: ObjectStoreMisconfigured) -> Unavailable:
    """Logs the wrong settings and returns the Unavailable to raise: wrong settings say
    nothing about the item, so it waits.
    """
    log.error("object_store_misconfigured", detail=str(wrong))
    return Unavailable("object_store", 30.0, detail=str(wrong))
