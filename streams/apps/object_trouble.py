"""What the job stages make of an object store whose settings went wrong while they ran."""

import structlog

from schemas.outcomes import Unavailable
from storage.objects.store import ObjectStoreMisconfigured

log = structlog.get_logger()


def waiting_for_a_person(wrong: ObjectStoreMisconfigured) -> Unavailable:
    """Settings that went wrong while we ran say nothing of the item: it waits, and the log says for
    what.
    """
    log.error("object_store_misconfigured", detail=str(wrong))
    return Unavailable("object_store", 30.0, detail=str(wrong))
