"""The types of YCloud's events. Data only."""

INBOUND = {
    "whatsapp.inbound_message.received": "whatsappInboundMessage",
    "messenger.inbound_message.received": "messengerInboundMessage",
}
"""What a customer said, and the object that says it."""
ECHOES = frozenset(
    {
        "whatsapp.smb.message.echoes",
        "whatsapp.smb.message.created",
        "whatsapp.echo_message.created",
        "whatsapp.echo_message.updated",
    }
)
HISTORY = frozenset({"whatsapp.smb.history"})
MESSAGES = INBOUND.keys() | ECHOES | HISTORY
STATUSES = frozenset(
    {
        "whatsapp.message.updated",
        "messenger.message.updated",
        "sms.message.updated",
        "voice.message.updated",
        "email.delivery.updated",
    }
)
