"""The addresses that providers send to."""

from schemas.settings import ReceiverSettings


def webhook_url(receiver: ReceiverSettings, provider: str, token: str) -> str:
    """Below SENSORIUM_RECEIVER__URL, or as seen from this machine."""
    base = receiver.url.rstrip("/") or f"http://{receiver.host}:{receiver.port}"
    return f"{base}/webhooks/{provider}/{token}"
