-- Describes every table and column for people who look at the database. `sensorium migrate` applies
-- this file after the migrations whenever its text has changed.

COMMENT ON TABLE chat_messages IS 'One row per message, with its newest version. For data teams.';
COMMENT ON COLUMN chat_messages.tenant_id IS 'The tenant to which the message belongs. First column of every key and index.';
COMMENT ON COLUMN chat_messages.message_key IS 'tenant:provider:provider_message_id. The same key is used on the topic enriched-messages.';
COMMENT ON COLUMN chat_messages.provider IS 'ycloud, chatwoot, or the name that a service gave at POST /chat.';
COMMENT ON COLUMN chat_messages.conversation_id IS 'The conversation. conversation_aliases has its other ids.';
COMMENT ON COLUMN chat_messages.role IS 'user, assistant (bot, campaign, template, automation), agent (a person of the business) or system.';
COMMENT ON COLUMN chat_messages.direction IS 'inbound (from the customer) or outbound.';
COMMENT ON COLUMN chat_messages.kind IS 'text, image, audio, video, document, sticker, location, contact, interactive, reaction, order, note, system, unsupported or mixed.';
COMMENT ON COLUMN chat_messages.content IS 'The text, the caption or the transcript. Null if there is none; never an empty string.';
COMMENT ON COLUMN chat_messages.content_attributes IS 'attachments[] with status, reason, description and transcript; description and transcript, joined over all attachments; provider: further facts from the provider.';
COMMENT ON COLUMN chat_messages.status IS 'pending (a file is still being processed), complete, or degraded (a file failed; its attachment has the reason).';
COMMENT ON COLUMN chat_messages.version IS 'generation × 1000 + step. Rises with each change. Below 1000 it comes from live traffic, otherwise from a repair.';
COMMENT ON COLUMN chat_messages.occurred_at IS 'When it was sent, by the provider''s clock.';
COMMENT ON COLUMN chat_messages.received_at IS 'When its first delivery arrived, by Sensorium''s clock.';
COMMENT ON COLUMN chat_messages.enriched_at IS 'When this version was written.';
COMMENT ON COLUMN chat_messages.sender_id IS 'The sender''s id at the provider: a phone number, a user id or a contact number.';
COMMENT ON COLUMN chat_messages.sender_name IS 'The name that the provider shows for the sender.';
COMMENT ON COLUMN chat_messages.endpoint_id IS 'The webhook endpoint that received it, or direct for POST /chat.';
COMMENT ON COLUMN chat_messages.redoing_version IS 'While a repair redoes a finished message: the version that the topic has already and this row does not show yet. Otherwise null.';
COMMENT ON COLUMN chat_messages.steps IS 'The steps of the message through the stages, in a compact form. The view steps has them as rows.';

COMMENT ON COLUMN chat_messages.changed_era IS 'The start of the database server during which this row was last written (see feed_eras).';
COMMENT ON COLUMN chat_messages.changed_xid IS 'The transaction that last wrote this row. Compare it only within one era.';

COMMENT ON TABLE feed_eras IS 'The starts of the database server. Transaction ids can be compared only within one of them. For data teams.';
COMMENT ON COLUMN feed_eras.era IS 'Number of the start. It is higher than the number of every earlier start.';
COMMENT ON COLUMN feed_eras.started_at IS 'When the server started.';

COMMENT ON TABLE arrival_records IS 'What became of each event that arrived, whether a message or not. One row per provider id and batch of the sink, in one partition per week. The view arrivals has one row per provider id.';
COMMENT ON COLUMN arrival_records.tenant_id IS 'The tenant whose endpoint or key received it.';
COMMENT ON COLUMN arrival_records.provider IS 'The provider that sent it.';
COMMENT ON COLUMN arrival_records.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN arrival_records.odd_key IS 'The record''s key if it is not tenant:provider:provider_message_id, otherwise null.';
COMMENT ON COLUMN arrival_records.topic IS 'Topic of the record, without the prefix of the namespace.';
COMMENT ON COLUMN arrival_records.partition IS 'Partition of the record.';
COMMENT ON COLUMN arrival_records."offset" IS 'Offset of the record.';
COMMENT ON COLUMN arrival_records.received_at IS 'When it arrived, by Sensorium''s clock.';
COMMENT ON COLUMN arrival_records.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN arrival_records.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN arrival_records.deliveries IS 'How often it was delivered within the batch. Repairs are not counted, so a row with 0 comes from a repair.';
COMMENT ON COLUMN arrival_records.again_at IS 'When it was delivered again within the batch, at most the last 100 times.';
COMMENT ON COLUMN arrival_records.again_offsets IS 'Offsets of those deliveries in the same partition.';
COMMENT ON VIEW arrivals IS 'One row per event that arrived, whether a message or not: where its first delivery is in raw-messages, what became of it and how often it was delivered. For data teams.';
COMMENT ON COLUMN arrivals.tenant_id IS 'The tenant whose endpoint or key received it.';
COMMENT ON COLUMN arrivals.provider IS 'The provider that sent it.';
COMMENT ON COLUMN arrivals.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN arrivals.message_key IS 'tenant:provider:provider_message_id.';
COMMENT ON COLUMN arrivals.topic IS 'Topic of the first delivery, without the prefix of the namespace.';
COMMENT ON COLUMN arrivals.partition IS 'Partition of the first delivery.';
COMMENT ON COLUMN arrivals."offset" IS 'Offset of the first delivery.';
COMMENT ON COLUMN arrivals.received_at IS 'When the first delivery arrived, by Sensorium''s clock.';
COMMENT ON COLUMN arrivals.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN arrivals.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN arrivals.deliveries IS 'How often it was delivered. Repairs are not counted.';
COMMENT ON VIEW steps IS 'One row per step of a message through the stages. For data teams.';
COMMENT ON COLUMN steps.tenant_id IS 'The tenant to which the message belongs.';
COMMENT ON COLUMN steps.message_key IS 'The message.';
COMMENT ON COLUMN steps.stage IS 'dedupe, store_media, describe, transcribe, assemble or replay.';
COMMENT ON COLUMN steps.topic IS 'Topic of the record that the stage processed, without the prefix of the namespace.';
COMMENT ON COLUMN steps.partition IS 'Partition of the record that the stage processed.';
COMMENT ON COLUMN steps."offset" IS 'Offset of the record that the stage processed.';
COMMENT ON COLUMN steps.outcome IS 'What the stage did. A reason follows after a colon.';
COMMENT ON COLUMN steps.at IS 'When the step was taken.';

COMMENT ON TABLE inbound_messages IS 'Arrivals that earlier versions of the program recorded. The view arrivals has all arrivals.';
COMMENT ON COLUMN inbound_messages.tenant_id IS 'The tenant whose endpoint or key received it.';
COMMENT ON COLUMN inbound_messages.provider IS 'The provider that sent it.';
COMMENT ON COLUMN inbound_messages.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN inbound_messages.message_key IS 'tenant:provider:provider_message_id.';
COMMENT ON COLUMN inbound_messages.topic IS 'Topic of the first delivery, without the prefix of the namespace.';
COMMENT ON COLUMN inbound_messages.partition IS 'Partition of the first delivery.';
COMMENT ON COLUMN inbound_messages."offset" IS 'Offset of the first delivery.';
COMMENT ON COLUMN inbound_messages.occurred_at IS 'When it was sent, by the provider''s clock. Null if it is not a message.';
COMMENT ON COLUMN inbound_messages.received_at IS 'When the first delivery arrived, by Sensorium''s clock.';
COMMENT ON COLUMN inbound_messages.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN inbound_messages.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN inbound_messages.deliveries IS 'How often it was delivered. Repairs are not counted.';

COMMENT ON TABLE conversation_aliases IS 'Other ids of conversations, for example a customer''s user id next to the phone number. For data teams.';
COMMENT ON COLUMN conversation_aliases.tenant_id IS 'The tenant to which the conversation belongs.';
COMMENT ON COLUMN conversation_aliases.alias IS 'Another id of the conversation.';
COMMENT ON COLUMN conversation_aliases.conversation_id IS 'The id that chat_messages has.';

COMMENT ON TABLE media_objects IS 'One row per stored file. For data teams.';
COMMENT ON COLUMN media_objects.tenant_id IS 'The tenant to which the file belongs.';
COMMENT ON COLUMN media_objects.object_key IS 'Key of the file in the bucket. Stored files never change.';
COMMENT ON COLUMN media_objects.message_key IS 'The message to which the file is attached.';
COMMENT ON COLUMN media_objects.attachment_index IS 'Index of the attachment in the message, from 0.';
COMMENT ON COLUMN media_objects.sha256 IS 'SHA-256 of the bytes, in hexadecimal.';
COMMENT ON COLUMN media_objects.mime_type IS 'MIME type, determined from the content and not from the name.';
COMMENT ON COLUMN media_objects.bytes IS 'Size in bytes.';
COMMENT ON COLUMN media_objects.original_url IS 'The URL from which it was downloaded.';
COMMENT ON COLUMN media_objects.stored_at IS 'When the first version of the message with this stored file was written.';

COMMENT ON TABLE message_steps IS 'Steps that earlier versions of the program recorded. The view steps has all steps.';
COMMENT ON COLUMN message_steps.tenant_id IS 'The tenant to which the message belongs.';
COMMENT ON COLUMN message_steps.message_key IS 'The message.';
COMMENT ON COLUMN message_steps.stage IS 'dedupe, store_media, describe, transcribe, assemble or replay.';
COMMENT ON COLUMN message_steps.topic IS 'Topic of the record that the stage processed, without the prefix of the namespace.';
COMMENT ON COLUMN message_steps.partition IS 'Partition of the record that the stage processed.';
COMMENT ON COLUMN message_steps."offset" IS 'Offset of the record that the stage processed.';
COMMENT ON COLUMN message_steps.outcome IS 'What the stage did. A reason follows after a colon.';
COMMENT ON COLUMN message_steps.at IS 'When the step was taken.';

COMMENT ON TABLE quarantined_messages IS 'Records that a stage could not process, complete with their bytes. They may contain what customers wrote.';
COMMENT ON COLUMN quarantined_messages.tenant_id IS 'The tenant to which the record belongs; unknown if that cannot be determined.';
COMMENT ON COLUMN quarantined_messages.stage IS 'The stage that quarantined it, or sink.';
COMMENT ON COLUMN quarantined_messages.reason IS 'Why, as a fixed word (docs/reference/reasons.md).';
COMMENT ON COLUMN quarantined_messages.detail IS 'Why, as a sentence for a person.';
COMMENT ON COLUMN quarantined_messages.record_key IS 'Key of the record, as text.';
COMMENT ON COLUMN quarantined_messages.topic IS 'Topic of the record, without the prefix of the namespace.';
COMMENT ON COLUMN quarantined_messages.partition IS 'Partition of the record.';
COMMENT ON COLUMN quarantined_messages."offset" IS 'Offset of the record.';
COMMENT ON COLUMN quarantined_messages.topic_id IS 'Kafka''s id of the topic. It tells a topic from a later one with the same name. Empty in rows of earlier versions of the program.';
COMMENT ON COLUMN quarantined_messages.created_at IS 'When it was quarantined.';
COMMENT ON COLUMN quarantined_messages.state IS 'new, replayed or dismissed (a person decided not to replay it, or its body was dropped).';
COMMENT ON COLUMN quarantined_messages.key IS 'Key of the record, as bytes.';
COMMENT ON COLUMN quarantined_messages.value IS 'Value of the record, byte for byte. Null if it was too large to be stored here.';
COMMENT ON COLUMN quarantined_messages.headers IS 'The Kafka headers of the record.';
COMMENT ON COLUMN quarantined_messages.program_version IS 'Version of the program that quarantined it.';

COMMENT ON TABLE erased_messages IS 'Messages that `sensorium erase` erased, as digests of their keys. Nothing about them is stored again.';
COMMENT ON COLUMN erased_messages.tenant_id IS 'The tenant to which the message belonged.';
COMMENT ON COLUMN erased_messages.key_digest IS 'BLAKE2b digest of the message key, 16 bytes.';
COMMENT ON COLUMN erased_messages.erased_at IS 'When it was erased.';

COMMENT ON TABLE sink_offsets IS 'The sink''s positions in Kafka. They are committed together with the rows, so they count, and not the offsets of the consumer group.';
COMMENT ON COLUMN sink_offsets.topic IS 'The topic, with the prefix of the namespace.';
COMMENT ON COLUMN sink_offsets.partition IS 'The partition.';
COMMENT ON COLUMN sink_offsets.topic_id IS 'Kafka''s id of the topic. If the cluster''s topic has another id, it is a different topic with the same name.';
COMMENT ON COLUMN sink_offsets.next_offset IS 'The first offset whose record is not in the rows yet; -1 before the first batch.';
COMMENT ON COLUMN sink_offsets.epoch IS 'Rises with each new owner of the partition. Only the newest owner may write.';
COMMENT ON COLUMN sink_offsets.lost_end IS 'Where the log ended when it was found to end before next_offset. While next_offset is larger, the partition is parked.';

COMMENT ON TABLE stage_stops IS 'Stages that stopped themselves because they would have quarantined too many records.';
COMMENT ON COLUMN stage_stops.stage IS 'The stage.';
COMMENT ON COLUMN stage_stops.stopped_at IS 'When it stopped.';
COMMENT ON COLUMN stage_stops.detail IS 'Why, as a sentence for a person.';
COMMENT ON COLUMN stage_stops.asked_at IS 'When a process of the stage last asked whether it may continue.';
COMMENT ON COLUMN stage_stops.resumed_at IS 'When a person let it continue. Null while it waits.';
COMMENT ON COLUMN stage_stops.quiet_until IS 'Until then, no process of the stage stops itself again.';

COMMENT ON TABLE ai_results IS 'Recorded answers of models about files, so that the same question is not paid for twice.';
COMMENT ON COLUMN ai_results.tenant_id IS 'The tenant for which the model was asked.';
COMMENT ON COLUMN ai_results.sha256 IS 'SHA-256 of the file, in hexadecimal.';
COMMENT ON COLUMN ai_results.recipe IS 'Hash that identifies how the model was asked: kind, model, prompt, language, parameters.';
COMMENT ON COLUMN ai_results.kind IS 'describe or transcribe.';
COMMENT ON COLUMN ai_results.text IS 'The description or transcript.';
COMMENT ON COLUMN ai_results.refused IS 'True only in rows of earlier versions of the program, which also recorded refusals.';
COMMENT ON COLUMN ai_results.model IS 'The model that answered.';
COMMENT ON COLUMN ai_results.prompt_version IS 'A readable label of the prompt.';
COMMENT ON COLUMN ai_results.input_tokens IS 'Tokens of the request, as the model counted them.';
COMMENT ON COLUMN ai_results.output_tokens IS 'Tokens of the answer, as the model counted them.';
COMMENT ON COLUMN ai_results.cost_microusd IS 'Cost of the call in millionths of a US dollar; null if no price is known.';
COMMENT ON COLUMN ai_results.latency_ms IS 'Duration of the call in milliseconds.';
COMMENT ON COLUMN ai_results.created_at IS 'When the answer was recorded.';

COMMENT ON TABLE ai_usage IS 'Paid model calls per tenant, day, kind and model. For data teams.';
COMMENT ON COLUMN ai_usage.tenant_id IS 'The tenant for which the model was asked.';
COMMENT ON COLUMN ai_usage.day IS 'The day in UTC.';
COMMENT ON COLUMN ai_usage.kind IS 'describe or transcribe.';
COMMENT ON COLUMN ai_usage.model IS 'The model that answered.';
COMMENT ON COLUMN ai_usage.calls IS 'Number of calls.';
COMMENT ON COLUMN ai_usage.input_tokens IS 'Tokens of the requests.';
COMMENT ON COLUMN ai_usage.output_tokens IS 'Tokens of the answers.';
COMMENT ON COLUMN ai_usage.cost_microusd IS 'Cost of the calls in millionths of a US dollar; null as soon as the price of one call is unknown.';

COMMENT ON TABLE job_attempts IS 'Jobs whose last attempt failed, one row per attachment and stage. For people only: no processing depends on it.';
COMMENT ON COLUMN job_attempts.tenant_id IS 'The tenant to which the message belongs.';
COMMENT ON COLUMN job_attempts.message_key IS 'The message.';
COMMENT ON COLUMN job_attempts.attachment_index IS 'Index of the attachment in the message, from 0.';
COMMENT ON COLUMN job_attempts.stage IS 'store_media, describe or transcribe.';
COMMENT ON COLUMN job_attempts.generation IS '0 for live traffic, otherwise the number of the repair run.';
COMMENT ON COLUMN job_attempts.attempts IS 'Number of attempts so far.';
COMMENT ON COLUMN job_attempts.cause IS 'Why the last attempt failed, as a fixed word.';
COMMENT ON COLUMN job_attempts.detail IS 'Why, as a sentence for a person.';
COMMENT ON COLUMN job_attempts.first_at IS 'When the first attempt was made.';
COMMENT ON COLUMN job_attempts.last_at IS 'When the last attempt was made.';
COMMENT ON COLUMN job_attempts.next_at IS 'When the next attempt is due. Null if the job has failed and is not tried again.';

COMMENT ON TABLE tenants IS 'Tenants with their encrypted settings.';
COMMENT ON COLUMN tenants.tenant_id IS 'The tenant''s name.';
COMMENT ON COLUMN tenants.settings IS 'The tenant''s settings, encrypted with SENSORIUM_SECRETS__KEY.';
COMMENT ON COLUMN tenants.created_at IS 'When it was added.';
COMMENT ON COLUMN tenants.removed_at IS 'When it was removed. The row stays, so that late records of the tenant are recognised and dropped.';
COMMENT ON COLUMN tenants.data_kept IS 'Whether its rows and files were kept when it was removed.';

COMMENT ON TABLE webhook_endpoints IS 'URLs for webhooks, with their encrypted secrets.';
COMMENT ON COLUMN webhook_endpoints.tenant_id IS 'The tenant to which the endpoint belongs.';
COMMENT ON COLUMN webhook_endpoints.endpoint_id IS 'The id that commands use for it.';
COMMENT ON COLUMN webhook_endpoints.provider IS 'The provider whose webhooks it accepts.';
COMMENT ON COLUMN webhook_endpoints.token_sha256 IS 'SHA-256 of the token in its URL.';
COMMENT ON COLUMN webhook_endpoints.sealed IS 'The token, the secrets and the provider''s API key, encrypted with SENSORIUM_SECRETS__KEY.';
COMMENT ON COLUMN webhook_endpoints.created_at IS 'When it was added.';
COMMENT ON COLUMN webhook_endpoints.former_token_sha256 IS 'SHA-256 of the previous token while it is still accepted, otherwise null.';
COMMENT ON COLUMN webhook_endpoints.former_token_until IS 'Until when the previous token is accepted.';

COMMENT ON TABLE webhook_deliveries IS 'Number of webhook deliveries per endpoint, day and outcome. Contains no bodies.';
COMMENT ON COLUMN webhook_deliveries.tenant_id IS 'The tenant to which the endpoint belongs; empty for a token that belongs to no endpoint.';
COMMENT ON COLUMN webhook_deliveries.endpoint_id IS 'The endpoint; for an unknown token, a part of its digest.';
COMMENT ON COLUMN webhook_deliveries.day IS 'The day in UTC.';
COMMENT ON COLUMN webhook_deliveries.reason IS 'The outcome, as a fixed word: accepted, or why it was refused.';
COMMENT ON COLUMN webhook_deliveries.secret_id IS 'Id of the endpoint''s secret that matched the signature.';
COMMENT ON COLUMN webhook_deliveries.deliveries IS 'Number of deliveries.';
COMMENT ON COLUMN webhook_deliveries.first_at IS 'When the first of them arrived.';
COMMENT ON COLUMN webhook_deliveries.last_at IS 'When the last of them arrived.';
COMMENT ON COLUMN webhook_deliveries.last_status IS 'HTTP status that answered the last of them.';
COMMENT ON COLUMN webhook_deliveries.last_facts IS 'Facts about the last of them that help a person to find the cause. Never contains its body.';

COMMENT ON TABLE ended_tokens IS 'Tokens of webhook URLs that are no longer valid, so that a delivery with one can be explained.';
COMMENT ON COLUMN ended_tokens.tenant_id IS 'The tenant to which the endpoint belonged.';
COMMENT ON COLUMN ended_tokens.token_sha256 IS 'SHA-256 of the token.';
COMMENT ON COLUMN ended_tokens.endpoint_id IS 'The endpoint to which the token belonged.';
COMMENT ON COLUMN ended_tokens.provider IS 'The provider of the endpoint.';
COMMENT ON COLUMN ended_tokens.reason IS 'endpoint_removed or url_replaced.';
COMMENT ON COLUMN ended_tokens.ended_at IS 'When it stopped being valid.';

COMMENT ON TABLE api_keys IS 'API keys of bots, people and services. Only their digests are stored.';
COMMENT ON COLUMN api_keys.tenant_id IS 'The tenant to which the key belongs.';
COMMENT ON COLUMN api_keys.key_sha256 IS 'SHA-256 of the key.';
COMMENT ON COLUMN api_keys.scope IS 'chat, read or admin.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was added.';
COMMENT ON COLUMN api_keys.key_id IS 'The id that commands use for it.';
COMMENT ON COLUMN api_keys.name IS 'A label that says what the key is for.';

COMMENT ON TABLE generations IS 'Repair runs. All records of a run carry its number.';
COMMENT ON COLUMN generations.generation IS 'The number. Live traffic is 0.';
COMMENT ON COLUMN generations.command IS 'The command that started the run.';
COMMENT ON COLUMN generations.detail IS 'What the run redoes.';
COMMENT ON COLUMN generations.created_at IS 'When the run began.';

COMMENT ON TABLE audit_log IS 'What commands and people in the console changed or looked at.';
COMMENT ON COLUMN audit_log.id IS 'Number of the entry; higher is later.';
COMMENT ON COLUMN audit_log.tenant_id IS 'The tenant that was changed or looked at.';
COMMENT ON COLUMN audit_log.action IS 'What was done, as a fixed word.';
COMMENT ON COLUMN audit_log.detail IS 'What was changed or looked at. Contains no secret. The id of a conversation or file that was looked at is replaced when that is erased.';
COMMENT ON COLUMN audit_log.at IS 'When it was done.';
COMMENT ON COLUMN audit_log.actor IS 'Who did it: a person of the console, or the user and host that ran the command.';

COMMENT ON TABLE directory_changes IS 'When each tenant last changed. Roles read tenants again that are newer than their copy.';
COMMENT ON COLUMN directory_changes.tenant_id IS 'The tenant.';
COMMENT ON COLUMN directory_changes.change IS 'Id of the transaction that last changed the tenant, its endpoints or its keys.';

COMMENT ON TABLE schema_migrations IS 'Migrations that were applied to this schema.';
COMMENT ON COLUMN schema_migrations.name IS 'File name of the migration.';
COMMENT ON COLUMN schema_migrations.sha256 IS 'SHA-256 of its text.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied.';

COMMENT ON TABLE people IS 'People who may log in to the console.';
COMMENT ON COLUMN people.person_id IS 'The person''s id.';
COMMENT ON COLUMN people.name IS 'The name with which they log in, in lower case.';
COMMENT ON COLUMN people.password IS 'The argon2id hash with its parameters. Null if only a login link lets the person in.';
COMMENT ON COLUMN people.created_at IS 'When the person was added.';
COMMENT ON COLUMN people.is_own_password IS 'True if the person set the password in the console, false if a command did.';

COMMENT ON TABLE people_roles IS 'The role of a person at a tenant.';
COMMENT ON COLUMN people_roles.tenant_id IS 'The tenant; * means every tenant.';
COMMENT ON COLUMN people_roles.person_id IS 'The person.';
COMMENT ON COLUMN people_roles.role IS 'viewer, reader, operator or admin. Each may do everything that the ones before it may.';

COMMENT ON TABLE people_sessions IS 'Sessions of people who are logged in.';
COMMENT ON COLUMN people_sessions.session_sha256 IS 'SHA-256 of the session''s cookie.';
COMMENT ON COLUMN people_sessions.person_id IS 'The person.';
COMMENT ON COLUMN people_sessions.began_at IS 'When the person logged in. A session ends a day later.';
COMMENT ON COLUMN people_sessions.seen_at IS 'When the session was last used, to the minute. A session ends after two idle hours.';

COMMENT ON TABLE login_links IS 'Links that log a person in once.';
COMMENT ON COLUMN login_links.link_sha256 IS 'SHA-256 of the token in the link.';
COMMENT ON COLUMN login_links.person_id IS 'The person.';
COMMENT ON COLUMN login_links.ends_at IS 'Until when the link works.';

COMMENT ON TABLE login_failures IS 'Failed logins of the last quarter of an hour, which slow down guessing.';
COMMENT ON COLUMN login_failures.bucket IS 'Digest of an account, of an address, or of both.';
COMMENT ON COLUMN login_failures.failures IS 'Number of failed logins.';
COMMENT ON COLUMN login_failures.since IS 'When the first of them happened.';

COMMENT ON TABLE unmasked_conversations IS 'Conversations that a session sees unmasked for a while.';
COMMENT ON COLUMN unmasked_conversations.tenant_id IS 'The tenant to which the conversation belongs.';
COMMENT ON COLUMN unmasked_conversations.conversation_id IS 'The conversation.';
COMMENT ON COLUMN unmasked_conversations.session_sha256 IS 'The session that sees it unmasked.';
COMMENT ON COLUMN unmasked_conversations.ends_at IS 'When it is masked again.';

COMMENT ON TABLE repairs IS 'Repairs that people planned, and how far each has come.';
COMMENT ON COLUMN repairs.tenant_id IS 'The tenant; * means every tenant.';
COMMENT ON COLUMN repairs.repair_id IS 'The id of the repair.';
COMMENT ON COLUMN repairs.reason IS 'The failure reason that it repairs; empty for any reason.';
COMMENT ON COLUMN repairs.state IS 'planned, running, done or cancelled.';
COMMENT ON COLUMN repairs.person IS 'Who planned it.';
COMMENT ON COLUMN repairs.messages IS 'Number of messages or records that the plan counted.';
COMMENT ON COLUMN repairs.files IS 'What the plan counted, by tenant, reason and kind, and what it may cost.';
COMMENT ON COLUMN repairs.created_at IS 'When it was planned.';
COMMENT ON COLUMN repairs.ends_at IS 'Until when the plan can be applied.';
COMMENT ON COLUMN repairs.began_at IS 'When it was applied. It does not repair what failed later.';
COMMENT ON COLUMN repairs.ended_at IS 'When it was done or cancelled.';
COMMENT ON COLUMN repairs.generation IS 'The generation of the records that it writes.';
COMMENT ON COLUMN repairs.looked IS 'Number of messages or records that it has looked at.';
COMMENT ON COLUMN repairs.redone IS 'Number of files that it has redone, or of records that it has sent again.';
COMMENT ON COLUMN repairs.set_aside IS 'Number that it left out because they had been tried too often.';
COMMENT ON COLUMN repairs.done_at IS 'When the last message or record that it looked at had arrived.';
COMMENT ON COLUMN repairs.done_key IS 'Key or position of that message or record.';
COMMENT ON COLUMN repairs.held_until IS 'Until when one process alone works on it.';
COMMENT ON COLUMN repairs.kind IS 'attachments, quarantine or raw.';
COMMENT ON COLUMN repairs.choice IS 'Which records it repairs: stage, reason, position, or ranges of offsets.';
COMMENT ON COLUMN repairs.rate IS 'Maximum number of records per second; 0 for no limit.';
COMMENT ON COLUMN repairs.portion IS 'Number of the last portion that is done.';
COMMENT ON COLUMN repairs.intent IS 'The portion that is being written. After a crash, the next process asks Kafka whether it was written.';
COMMENT ON COLUMN repairs.holder IS 'The process that works on it.';
COMMENT ON COLUMN repairs.trouble IS 'What is unavailable, while it waits.';

COMMENT ON TABLE repair_tries IS 'How often failed files of a message, or a quarantined record, were repaired.';
COMMENT ON COLUMN repair_tries.tenant_id IS 'The tenant.';
COMMENT ON COLUMN repair_tries.message_key IS 'The message, or the key of the record.';
COMMENT ON COLUMN repair_tries.reason IS 'Why the files failed; for a record, its stage and digest.';
COMMENT ON COLUMN repair_tries.tries IS 'Number of tries.';

COMMENT ON TABLE stage_minutes IS 'What each process did in each minute of the last two days, for the console''s page of the pipeline.';
COMMENT ON COLUMN stage_minutes.minute IS 'When the minute began, by the clock of the process.';
COMMENT ON COLUMN stage_minutes.stage IS 'The stage, or receive or sink.';
COMMENT ON COLUMN stage_minutes.member IS 'Id of the process. It changes at each start.';
COMMENT ON COLUMN stage_minutes.written_at IS 'When the process last wrote this row.';
COMMENT ON COLUMN stage_minutes.records IS 'Number of records, requests or rows that were finished in this minute.';
COMMENT ON COLUMN stage_minutes.per_second IS 'Records per second, as last measured.';
COMMENT ON COLUMN stage_minutes.outcomes IS 'Number of records per outcome.';
COMMENT ON COLUMN stage_minutes.took IS 'Number of records per duration, in the histogram buckets of the metrics; the longest is last.';
COMMENT ON COLUMN stage_minutes.unread IS 'Records of the source topic that were not read yet.';
COMMENT ON COLUMN stage_minutes.waiting IS 'Jobs that were admitted and are not finished.';
COMMENT ON COLUMN stage_minutes.oldest_seconds IS 'Age of the oldest of these jobs in seconds.';

COMMENT ON TABLE tenant_removals IS 'Tenants that people removed in the console, and how far the deletion of their data has come.';
COMMENT ON COLUMN tenant_removals.tenant_id IS 'The tenant.';
COMMENT ON COLUMN tenant_removals.person IS 'Who removed it.';
COMMENT ON COLUMN tenant_removals.began_at IS 'When it was removed, or when the deletion of data that had been kept began.';
COMMENT ON COLUMN tenant_removals.ended_at IS 'When all of its data was deleted.';
COMMENT ON COLUMN tenant_removals.deleted IS 'What was deleted so far, by kind.';
COMMENT ON COLUMN tenant_removals.holder IS 'The process that deletes it.';
COMMENT ON COLUMN tenant_removals.held_until IS 'Until when one process alone works on it.';
COMMENT ON COLUMN tenant_removals.trouble IS 'What is unavailable, while it waits.';
