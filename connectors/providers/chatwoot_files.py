"""The files of a Chatwoot message."""

from urllib.parse import unquote, urlsplit

from connectors.providers.adapter import Document, identifier, link, name_of, parts
from connectors.providers.chatwoot_attributes import WEB_PAGES
from schemas.media import is_sound
from schemas.records import AttachmentType, FoundAttachment
from schemas.text import storable

_SHARES = frozenset(
    {"share", "story_mention", "reel", "ig_reel", "ig_post", "ig_story", "ig_story_reply"}
)
_META_PAGES = frozenset({"facebook.com", "instagram.com", "fb.watch", "fb.com"})
_MAX_ATTACHMENTS = 50


def chatwoot_files(event: Document) -> list[Document]:
    """The attachments in the order of their ids.

    A shared post is one attachment, although Instagram announces it twice, as `share` and
    as `ig_post`.
    """
    files: list[Document] = []
    shared: set[str] = set()
    for one in sorted(parts(event, "attachments"), key=_number):
        url = link(one, "data_url") if name_of(one, "file_type") in _SHARES else None
        if url is None or url not in shared:
            files.append(one)
        if url is not None:
            shared.add(url)
    return files[:_MAX_ATTACHMENTS]


def _number(attachment: Document) -> int:
    """The attachment's id. A later attachment has a higher one, so the order never changes."""
    number = attachment.get("id")
    return number if isinstance(number, int) else 0


def chatwoot_attachments(event: Document, files: list[Document]) -> tuple[FoundAttachment, ...]:
    sticker = name_of(event, "content_type") == "sticker"
    return tuple(_attachment(one, sticker) for one in files)


def _attachment(one: Document, sticker: bool) -> FoundAttachment:
    form = name_of(one, "file_type") or "file"
    url = link(one, "data_url")
    if form == "location":
        return FoundAttachment(type="location", reason="no_file")
    if form == "contact":
        return FoundAttachment(type="contact", reason="no_file")
    if form in WEB_PAGES or (form in _SHARES and _is_page_of_meta(url)):
        return FoundAttachment(type="other", url=url, reason="web_page")
    mime_type = name_of(one, "content_type")
    return FoundAttachment(
        type=_type(form, mime_type, sticker),
        url=url,
        mime_type=mime_type,
        filename=_filename(url),
        reason=None if url else "media_unavailable",
        attachment_id=identifier(one.get("id")),
    )


def _type(form: str, mime_type: str | None, sticker: bool) -> AttachmentType:
    """The type of an attachment. Any sound is audio, also one that was sent as a file."""
    if form == "audio" or is_sound(mime_type):
        return "audio"
    if form == "image":
        return "sticker" if sticker else "image"
    if form == "video":
        return "video"
    if form == "file":
        return "document"
    if form in _SHARES:
        family = (mime_type or "").partition("/")[0]
        return (
            "video"
            if family == "video" or form in ("reel", "ig_reel")
            else "image"
            if family == "image" or form == "story_mention"
            else "other"
        )
    return "other"


def _is_page_of_meta(url: str | None) -> bool:
    """True if the link of a shared post or reel leads to the page that shows it.

    Files come from Meta's CDN, whose hosts have other names.
    """
    try:
        host = (urlsplit(url or "").hostname or "").lower()
    except ValueError:
        return False
    return host in _META_PAGES or host.removeprefix("www.").removeprefix("m.") in _META_PAGES


def _filename(url: str | None) -> str | None:
    """The file name in the address of a blob of Chatwoot, or None for any other address."""
    if url is None:
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    name = storable(unquote(path.rpartition("/")[2], errors="replace"))
    return name[:256] if "/active_storage/" in path and name else None
