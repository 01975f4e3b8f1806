"""The types of YCloud's events. Data only."""

INBOUND = {
    "whatsapp.inbound_message.received": "whatsappInboundMessage",
    "messenger.inbound_message.received": "messengerInboundMessage",
}
"""The events with a customer's message, and the name of the object that contains it."""
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
