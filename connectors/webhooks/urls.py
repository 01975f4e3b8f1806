"""The URLs to which providers send their webhooks."""

from schemas.settings import ReceiverSettings


def webhook_url(receiver: ReceiverSettings, provider: str, token: str) -> str:
    """The URL under SENSORIUM_RECEIVER__URL, or under this machine's address if that is not set."""
    base = receiver.url.rstrip("/") or f"http://{receiver.host}:{receiver.port}"
    return f"{base}/webhooks/{provider}/{token}"
