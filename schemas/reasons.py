"""The reasons why records are skipped or quarantined, and why attachments fail.

The lists are closed, and the values are noun phrases.
"""

from typing import Literal

SkipReason = Literal[
    "late",  # an enrichment of a finished message or of a lower generation
    "update",  # message_updated of a known message
    "delivery_status",  # sent, delivered, read or failed, of a message we did not receive
    "system_event",  # an event such as a changed number, not something a person wrote
    "welcome_request",  # a customer opened the chat and has not written yet
    "not_a_message",  # a known event without a message (typing, contacts, templates, ...)
    "unknown_event",  # an event type this version does not know
    "echo_without_content",  # an echo update with neither type nor content
    "test_event",  # a provider's "send test" button
]

QuarantineReason = Literal[
    "not_json",  # the body is not JSON
    "not_an_object",  # the body is JSON, but not an object
    "event_missing",  # no event name in the body
    "payload_missing",  # the event names an object that the body does not contain
    "identifier_missing",  # a message without a usable id
    "identifier_mismatch",  # the id in the body differs from the one in the record's key
    "conversation_missing",  # a message that names no conversation
    "field_invalid",  # a field has a type that cannot be interpreted
    "record_undecodable",  # not in our wire format, or not of the right schema
    "record_unstorable",  # Postgres refuses the row
    "record_too_large",  # the outcome does not fit a Kafka record
    "provider_unknown",  # no adapter has this name
    "tenant_unknown",  # the tenant does not exist, or was removed
    "stage_error",  # the stage raised on this record: a bug or a hostile shape
    "process_killer",  # the record was being processed when its process died, three times
]

DeliveryReason = Literal[
    "accepted",  # the records were written to Kafka
    "unknown_token",  # no endpoint has or had the token of the URL
    "endpoint_removed",  # the token is that of an endpoint that was removed
    "url_replaced",  # endpoints rotate-token replaced the token, and its grace period is over
    "wrong_provider",  # the token's endpoint is of another provider than the one in the URL
    "not_post",  # a method other than POST, such as the GET of a browser
    "secret_awaited",  # the endpoint has no secret yet: endpoints secret ID --set SECRET
    "signature_missing",  # the request has no signature header
    "signature_malformed",  # the signature header does not have this provider's form
    "signature_mismatch",  # made with none of the live secrets, or the body was changed in transit
    "signature_expired",  # valid, but older than allowed: a repeated request, or a wrong clock
    "signature_from_the_future",  # valid, but its time is over 300 s ahead: a wrong clock
    "rate_exceeded",  # over the rate of the tenant or of the endpoint
    "body_too_large",  # over RECEIVER__MAX_BODY_BYTES
    "body_encoded",  # the request has a Content-Encoding
    "body_too_slow",  # not complete within RECEIVER__BODY_SECONDS
    "client_left",  # the connection ended before the body was complete
    "no_room",  # too many bytes are in memory: RECEIVER__MAX_PENDING_BYTES
    "endpoint_unreadable",  # SECRETS__KEY does not decrypt the endpoint: sensorium doctor
    "not_stored",  # Kafka did not acknowledge in time
    "key_missing",  # POST /chat without Authorization: Bearer KEY
    "key_unknown",  # POST /chat with a key that does not exist or was revoked
    "key_scope",  # POST /chat with a key whose scope is neither chat nor admin
    "body_invalid",  # POST /chat with a body that is not a message: the answer says why
    "program_error",  # a bug: see the log
]
"""The outcome of a delivery to a webhook URL, or of a `POST /chat`.

The sender gets the same answer for every kind of bad token or signature.
"""

AttachmentReason = Literal[
    "media_unavailable",  # the provider does not have the file
    "media_gone",  # 410, or 404 for the whole grace period
    "media_forbidden",  # 401 or 403
    "media_refused_address",  # a private address, http where only https is allowed, or a user name
    "media_not_found",  # 404 during all of MEDIA__NOT_FOUND_SECONDS
    "media_timeout",  # retried for MEDIA__RETRY_SECONDS
    "media_too_large",  # over MEDIA__MAX_BYTES or the tenant's own limit
    "media_empty",  # the file has no bytes
    "media_wrong_content",  # a page or JSON error instead of a file, or an unsupported encoding
    "media_link_expired",  # not written by this version
    "image_undecodable",  # none of our decoders reads it
    "image_too_large",  # more pixels than allowed
    "audio_undecodable",  # none of our decoders reads it
    "audio_too_short",  # shorter than 0.5 s
    "audio_too_long",  # longer than the model accepts
    "audio_silent",  # the recording is silent
    "refused_by_model",  # the model's policy declined, or the answer is only a refusal
    "answer_truncated",  # the answer reached the token limit before it said anything, twice
    "unsupported_by_model",  # the server does not accept this file or format, whatever it shows
    "model_timeout",  # three successive calls for this file timed out
    "model_unavailable",  # retried for OPENAI__RETRY_SECONDS
    "model_rejected_key",  # the model answered 401 to this key for OPENAI__RETRY_SECONDS
    "no_file",  # a location or a contact card
    "outgoing",  # sent by the business, and the tenant's setting excludes such files
    "private",  # an internal note, which is never sent to a model
    "old",  # too old when it arrived, and the tenant's setting excludes old files
    "history",  # an old message that was imported when a number joined
    "web_page",  # the link leads to a web page, not to a file
    "unsupported_format",  # not written by this version
    "overloaded",  # not written by this version
    "quarantined",  # the job was quarantined: sensorium quarantine list
]
