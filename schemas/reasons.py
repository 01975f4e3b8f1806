"""Why a record was skipped or quarantined, or an attachment failed.

Closed lists; values are noun phrases.
"""

from typing import Literal

SkipReason = Literal[
    "late",  # an enrichment of a finished message or of a lower generation
    "update",  # message_updated of a known message
    "delivery_status",  # sent, delivered, read, failed of a message we did not receive
    "system_event",  # a number changed and the like: no speech
    "welcome_request",  # a customer opened the chat and said nothing yet
    "not_a_message",  # a known event that carries no message (typing, contacts, templates, ...)
    "unknown_event",  # an event type this version does not know
    "echo_without_content",  # an echo update that carries neither type nor content
    "test_event",  # a provider's "send test" button
]

QuarantineReason = Literal[
    "not_json",  # the body is not JSON
    "not_an_object",  # the body is JSON, but not an object
    "event_missing",  # no event name in the body
    "payload_missing",  # the event names an object that is not there
    "identifier_missing",  # a message without any usable id
    "identifier_mismatch",  # the id in the body is not the key's
    "conversation_missing",  # a message that names no conversation
    "field_invalid",  # a field of the wrong type where there is no sane reading
    "record_undecodable",  # not our wire format or schema
    "record_unstorable",  # Postgres refuses the row
    "record_too_large",  # the outcome does not fit a Kafka record
    "provider_unknown",  # no adapter has this name
    "tenant_unknown",  # the tenant does not exist, or was removed
    "stage_error",  # the stage raised on this record: a bug or a hostile shape
    "process_killer",  # the record was in hand when its process died, three times
]

DeliveryReason = Literal[
    "accepted",  # the records were written to Kafka
    "unknown_token",  # no endpoint has or had the token of the URL
    "endpoint_removed",  # the token is that of an endpoint that was removed
    "url_replaced",  # the token was replaced by endpoints rotate-token, and its grace is over
    "wrong_provider",  # the token is that of an endpoint for another provider than the one in the URL
    "not_post",  # another method than POST, such as a browser's
    "secret_awaited",  # the endpoint has no secret yet: endpoints secret ID --set SECRET
    "signature_missing",  # the header with the signature is not there
    "signature_malformed",  # the header is there and has another form than this provider's
    "signature_mismatch",  # made with none of the live secrets, or the body was changed on its way
    "signature_expired",  # right, and its time is further back than is allowed: a repeat, or a wrong clock
    "signature_from_the_future",  # right, and its time is over 300 s ahead: a wrong clock
    "rate_exceeded",  # over the rate of the tenant or of the endpoint
    "body_too_large",  # over RECEIVER__MAX_BODY_BYTES
    "body_encoded",  # with a Content-Encoding
    "body_too_slow",  # not complete within RECEIVER__BODY_SECONDS
    "client_left",  # the connection ended before the body was complete
    "no_room",  # too many bytes in memory: RECEIVER__MAX_PENDING_BYTES
    "endpoint_unreadable",  # SECRETS__KEY does not open the endpoint: sensorium doctor
    "not_stored",  # Kafka did not acknowledge in time
    "key_missing",  # POST /chat without Authorization: Bearer KEY
    "key_unknown",  # POST /chat with a key that nobody has, or that was revoked
    "key_scope",  # POST /chat with a key of another scope than chat or admin
    "body_invalid",  # POST /chat with a body that is not a message: the answer says why
    "program_error",  # a bug: see the log
]
"""What became of a delivery to a webhook URL, or of a `POST /chat`.

Outside, all kinds of a bad token or signature look the same.
"""

AttachmentReason = Literal[
    "media_unavailable",  # the provider had none to give
    "media_gone",  # 410, or 404 for the whole of its grace
    "media_forbidden",  # 401, 403
    "media_refused_address",  # the address is private, or http where only https may be asked, or names a user
    "media_not_found",  # 404 for the whole of MEDIA__NOT_FOUND_SECONDS
    "media_timeout",  # retried for MEDIA__RETRY_SECONDS
    "media_too_large",  # over MEDIA__MAX_BYTES or the tenant's own limit
    "media_empty",  # a file of no bytes
    "media_wrong_content",  # an HTML page or a JSON error where a file was announced; a coding that is not read
    "media_link_expired",  # not written by this version
    "image_undecodable",  # no decoder of ours reads it
    "image_too_large",  # more pixels than the cap
    "audio_undecodable",  # no decoder of ours reads it
    "audio_too_short",  # shorter than 0.5 s
    "audio_too_long",  # longer than the model takes
    "audio_silent",  # nothing is to be heard
    "refused_by_model",  # the model declined: its policy, or a text that holds nothing but a refusal
    "answer_truncated",  # the answer was cut at the token limit before it said anything, twice
    "unsupported_by_model",  # the server does not take this file or format; it is not a verdict about the content
    "model_timeout",  # three calls in a row for this file timed out
    "model_unavailable",  # retried for OPENAI__RETRY_SECONDS
    "model_rejected_key",  # the model answered 401 to this key for OPENAI__RETRY_SECONDS
    "no_file",  # a location or a contact card
    "outgoing",  # the business sent it, and the tenant does not have such files described
    "private",  # an internal note: no model sees it
    "old",  # too old when it arrived, and the tenant does not have old files described
    "history",  # an old message that came when a number joined
    "web_page",  # the link is a page, not a file
    "unsupported_format",  # not written by this version
    "overloaded",  # not written by this version
    "quarantined",  # the job was quarantined: sensorium quarantine list
]
