-- What every table and column means, for whoever looks at the database. Applied by `migrate` after the migrations, whenever this
-- file has changed.

COMMENT ON TABLE chat_messages IS 'One row per message: its newest version. For readers.';
COMMENT ON COLUMN chat_messages.tenant_id IS 'Whose message it is. First in every key and index.';
COMMENT ON COLUMN chat_messages.message_key IS 'tenant:provider:provider_message_id; also the key on the topic enriched-messages.';
COMMENT ON COLUMN chat_messages.provider IS 'ycloud, chatwoot, or the name that a service gave at POST /chat.';
COMMENT ON COLUMN chat_messages.conversation_id IS 'The conversation; conversation_aliases has its other names.';
COMMENT ON COLUMN chat_messages.role IS 'user, assistant (bot, campaign, template, automation), agent (a person of the business) or system.';
COMMENT ON COLUMN chat_messages.direction IS 'inbound (from the customer) or outbound.';
COMMENT ON COLUMN chat_messages.kind IS 'text, image, audio, video, document, sticker, location, contact, interactive, reaction, order, note, system, unsupported or mixed.';
COMMENT ON COLUMN chat_messages.content IS 'The text, the caption or the transcript; null where there is none, never empty.';
COMMENT ON COLUMN chat_messages.content_attributes IS 'attachments[] with status, reason, description and transcript; description and transcript of all of them; provider: what the provider says beside.';
COMMENT ON COLUMN chat_messages.status IS 'pending (a file is still worked on), complete, or degraded (a file failed: see its reason).';
COMMENT ON COLUMN chat_messages.version IS 'generation × 1000 + step. Rises with each change; below 1000 is live traffic, above is a repair.';
COMMENT ON COLUMN chat_messages.occurred_at IS 'When it was said, by the provider''s clock.';
COMMENT ON COLUMN chat_messages.received_at IS 'When its first delivery arrived here.';
COMMENT ON COLUMN chat_messages.enriched_at IS 'When this version was made.';
COMMENT ON COLUMN chat_messages.sender_id IS 'Who sent it, as the provider names them: a phone number, a user id or a contact number.';
COMMENT ON COLUMN chat_messages.sender_name IS 'The name that the provider shows for the sender.';
COMMENT ON COLUMN chat_messages.endpoint_id IS 'The endpoint that received it, or direct for POST /chat.';
COMMENT ON COLUMN chat_messages.redoing_version IS 'While a repair redoes a finished message: the version that the topic has and this row does not show yet.';
COMMENT ON COLUMN chat_messages.steps IS 'What the message went through: by opening, a line per step. The view steps has it as rows.';

COMMENT ON COLUMN chat_messages.changed_era IS 'Which start of the database server wrote this row last: see feed_eras.';
COMMENT ON COLUMN chat_messages.changed_xid IS 'Which transaction wrote this row last; compare within one era only.';

COMMENT ON TABLE feed_eras IS 'The starts of the database server. Transaction numbers are compared within one only. For readers.';
COMMENT ON COLUMN feed_eras.era IS 'The number of the start; larger than that of every one before.';
COMMENT ON COLUMN feed_eras.started_at IS 'When the server started.';

COMMENT ON TABLE arrival_records IS 'What became of things that arrived, messages or not, in a partition per week: one row per key and batch of the sink. The view arrivals has one row per key.';
COMMENT ON COLUMN arrival_records.tenant_id IS 'Whose endpoint received it.';
COMMENT ON COLUMN arrival_records.provider IS 'The provider of the endpoint.';
COMMENT ON COLUMN arrival_records.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN arrival_records.odd_key IS 'The key, where it is not tenant:provider:provider_message_id.';
COMMENT ON COLUMN arrival_records.topic IS 'Where it is: the topic, without its namespace.';
COMMENT ON COLUMN arrival_records.partition IS 'Where it is: the partition.';
COMMENT ON COLUMN arrival_records."offset" IS 'Where it is: the offset.';
COMMENT ON COLUMN arrival_records.received_at IS 'When it arrived here.';
COMMENT ON COLUMN arrival_records.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN arrival_records.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN arrival_records.deliveries IS 'How often it was delivered within the batch. Repairs are not counted.';
COMMENT ON COLUMN arrival_records.again_at IS 'When it was delivered again within the batch, the last 100 times.';
COMMENT ON COLUMN arrival_records.again_offsets IS 'Where those deliveries are, in the same partition.';
COMMENT ON VIEW arrivals IS 'One row per thing that arrived, messages or not: where its first delivery is in raw-messages, what became of it and how often it came. For readers.';
COMMENT ON COLUMN arrivals.tenant_id IS 'Whose endpoint received it.';
COMMENT ON COLUMN arrivals.provider IS 'The provider of the endpoint.';
COMMENT ON COLUMN arrivals.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN arrivals.message_key IS 'tenant:provider:provider_message_id.';
COMMENT ON COLUMN arrivals.topic IS 'Where the first delivery is: the topic, without its namespace.';
COMMENT ON COLUMN arrivals.partition IS 'Where the first delivery is: the partition.';
COMMENT ON COLUMN arrivals."offset" IS 'Where the first delivery is: the offset.';
COMMENT ON COLUMN arrivals.received_at IS 'When the first delivery arrived here.';
COMMENT ON COLUMN arrivals.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN arrivals.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN arrivals.deliveries IS 'How often it was delivered. Repairs are not counted.';
COMMENT ON VIEW steps IS 'One row per step of a message through the stages. For readers.';
COMMENT ON COLUMN steps.tenant_id IS 'Whose message it is.';
COMMENT ON COLUMN steps.message_key IS 'The message.';
COMMENT ON COLUMN steps.stage IS 'dedupe, store_media, describe, transcribe, assemble or replay.';
COMMENT ON COLUMN steps.topic IS 'The record that the stage worked on: its topic, without the namespace.';
COMMENT ON COLUMN steps.partition IS 'The record that the stage worked on: its partition.';
COMMENT ON COLUMN steps."offset" IS 'The record that the stage worked on: its offset.';
COMMENT ON COLUMN steps.outcome IS 'What came of it, with a reason after a colon.';
COMMENT ON COLUMN steps.at IS 'When.';

COMMENT ON TABLE inbound_messages IS 'Arrivals that programs before this version wrote. The view arrivals has all.';
COMMENT ON COLUMN inbound_messages.tenant_id IS 'Whose endpoint received it.';
COMMENT ON COLUMN inbound_messages.provider IS 'The provider of the endpoint.';
COMMENT ON COLUMN inbound_messages.provider_message_id IS 'The provider''s id of the message or event.';
COMMENT ON COLUMN inbound_messages.message_key IS 'tenant:provider:provider_message_id.';
COMMENT ON COLUMN inbound_messages.topic IS 'Where the first delivery is: the topic, without its namespace.';
COMMENT ON COLUMN inbound_messages.partition IS 'Where the first delivery is: the partition.';
COMMENT ON COLUMN inbound_messages."offset" IS 'Where the first delivery is: the offset.';
COMMENT ON COLUMN inbound_messages.occurred_at IS 'When it was said, by the provider''s clock; null for what is no message.';
COMMENT ON COLUMN inbound_messages.received_at IS 'When the first delivery arrived here.';
COMMENT ON COLUMN inbound_messages.outcome IS 'forwarded, duplicate, skipped or quarantined.';
COMMENT ON COLUMN inbound_messages.reason IS 'Why it was skipped or quarantined.';
COMMENT ON COLUMN inbound_messages.deliveries IS 'How often it was delivered. Repairs are not counted.';

COMMENT ON TABLE conversation_aliases IS 'Other names of conversations: a customer''s phone number and user id. For readers.';
COMMENT ON COLUMN conversation_aliases.tenant_id IS 'Whose conversation it is.';
COMMENT ON COLUMN conversation_aliases.alias IS 'Another name.';
COMMENT ON COLUMN conversation_aliases.conversation_id IS 'The name that chat_messages has.';

COMMENT ON TABLE media_objects IS 'One row per stored file. For readers.';
COMMENT ON COLUMN media_objects.tenant_id IS 'Whose file it is.';
COMMENT ON COLUMN media_objects.object_key IS 'Its key in the bucket. Objects never change.';
COMMENT ON COLUMN media_objects.message_key IS 'The message that shows it.';
COMMENT ON COLUMN media_objects.attachment_index IS 'Which attachment of the message it is, from 0.';
COMMENT ON COLUMN media_objects.sha256 IS 'Of its bytes, in hexadecimal.';
COMMENT ON COLUMN media_objects.mime_type IS 'By its content, not by its name.';
COMMENT ON COLUMN media_objects.bytes IS 'Its size.';
COMMENT ON COLUMN media_objects.original_url IS 'Where it was downloaded from.';
COMMENT ON COLUMN media_objects.stored_at IS 'When the version that first showed it was made.';

COMMENT ON TABLE message_steps IS 'Steps that programs before this version wrote. The view steps has all.';
COMMENT ON COLUMN message_steps.tenant_id IS 'Whose message it is.';
COMMENT ON COLUMN message_steps.message_key IS 'The message.';
COMMENT ON COLUMN message_steps.stage IS 'dedupe, store_media, describe, transcribe, assemble or replay.';
COMMENT ON COLUMN message_steps.topic IS 'The record that the stage worked on: its topic, without the namespace.';
COMMENT ON COLUMN message_steps.partition IS 'The record that the stage worked on: its partition.';
COMMENT ON COLUMN message_steps."offset" IS 'The record that the stage worked on: its offset.';
COMMENT ON COLUMN message_steps.outcome IS 'What came of it, with a reason after a colon.';
COMMENT ON COLUMN message_steps.at IS 'When.';

COMMENT ON TABLE quarantined_messages IS 'Records that a stage refused, whole. They may hold what customers said.';
COMMENT ON COLUMN quarantined_messages.tenant_id IS 'Whose record it is; unknown where nobody can tell.';
COMMENT ON COLUMN quarantined_messages.stage IS 'The stage that refused it, or sink.';
COMMENT ON COLUMN quarantined_messages.reason IS 'Why, as a fixed word (docs/reference/reasons.md).';
COMMENT ON COLUMN quarantined_messages.detail IS 'Why, for a person.';
COMMENT ON COLUMN quarantined_messages.record_key IS 'The key of the record as text.';
COMMENT ON COLUMN quarantined_messages.topic IS 'Where the record is: the topic, without its namespace.';
COMMENT ON COLUMN quarantined_messages.partition IS 'Where the record is: the partition.';
COMMENT ON COLUMN quarantined_messages."offset" IS 'Where the record is: the offset.';
COMMENT ON COLUMN quarantined_messages.topic_id IS 'Kafka''s id of that topic, so that a topic made anew is told apart; empty in rows of earlier programs.';
COMMENT ON COLUMN quarantined_messages.created_at IS 'When it was refused.';
COMMENT ON COLUMN quarantined_messages.state IS 'new, replayed or dismissed.';
COMMENT ON COLUMN quarantined_messages.key IS 'The key of the record, as bytes.';
COMMENT ON COLUMN quarantined_messages.value IS 'The record itself; null if it was too large to be kept here.';
COMMENT ON COLUMN quarantined_messages.headers IS 'The Kafka headers of the record.';
COMMENT ON COLUMN quarantined_messages.program_version IS 'The program that refused it.';

COMMENT ON TABLE erased_messages IS 'Messages that were erased by a command, by a digest of their key: nothing of them is stored again.';
COMMENT ON COLUMN erased_messages.tenant_id IS 'Whose message it was.';
COMMENT ON COLUMN erased_messages.key_digest IS 'BLAKE2b of the message key, 16 bytes.';
COMMENT ON COLUMN erased_messages.erased_at IS 'When.';

COMMENT ON TABLE sink_offsets IS 'Where the sink is in Kafka. It commits with the rows: these positions are the truth, not the group''s.';
COMMENT ON COLUMN sink_offsets.topic IS 'The topic, with its namespace.';
COMMENT ON COLUMN sink_offsets.partition IS 'The partition.';
COMMENT ON COLUMN sink_offsets.topic_id IS 'Kafka''s id of the topic: another one means another topic of the same name.';
COMMENT ON COLUMN sink_offsets.next_offset IS 'The first offset that is not in the rows yet; -1 before the first batch.';
COMMENT ON COLUMN sink_offsets.epoch IS 'Counts the owners of the partition; only the newest may write.';

COMMENT ON TABLE stage_stops IS 'Stages that stopped themselves because they would have quarantined too much.';
COMMENT ON COLUMN stage_stops.stage IS 'The stage.';
COMMENT ON COLUMN stage_stops.stopped_at IS 'When it stopped.';
COMMENT ON COLUMN stage_stops.detail IS 'Why, for a person.';
COMMENT ON COLUMN stage_stops.asked_at IS 'When it last asked whether it may continue.';
COMMENT ON COLUMN stage_stops.resumed_at IS 'When somebody let it continue.';
COMMENT ON COLUMN stage_stops.quiet_until IS 'Until then no process of the stage stops itself again.';

COMMENT ON TABLE ai_results IS 'What models said of contents, so that nothing is asked twice.';
COMMENT ON COLUMN ai_results.tenant_id IS 'For whom it was asked.';
COMMENT ON COLUMN ai_results.sha256 IS 'The content that it was asked about.';
COMMENT ON COLUMN ai_results.recipe IS 'A hash of how it was asked: kind, model, prompt, language, parameters.';
COMMENT ON COLUMN ai_results.kind IS 'describe or transcribe.';
COMMENT ON COLUMN ai_results.text IS 'The answer.';
COMMENT ON COLUMN ai_results.refused IS 'True only in rows of earlier programs: refusals are not recorded any more.';
COMMENT ON COLUMN ai_results.model IS 'The model that answered.';
COMMENT ON COLUMN ai_results.prompt_version IS 'A readable name of the prompt.';
COMMENT ON COLUMN ai_results.input_tokens IS 'Tokens of the question.';
COMMENT ON COLUMN ai_results.output_tokens IS 'Tokens of the answer.';
COMMENT ON COLUMN ai_results.cost_microusd IS 'What it cost, in millionths of a US dollar; null where no price is known.';
COMMENT ON COLUMN ai_results.latency_ms IS 'How long the answer took.';
COMMENT ON COLUMN ai_results.created_at IS 'When.';

COMMENT ON TABLE ai_usage IS 'Paid model calls per tenant, day, kind and model. For readers.';
COMMENT ON COLUMN ai_usage.tenant_id IS 'For whom.';
COMMENT ON COLUMN ai_usage.day IS 'The day in UTC.';
COMMENT ON COLUMN ai_usage.kind IS 'describe or transcribe.';
COMMENT ON COLUMN ai_usage.model IS 'The model that answered.';
COMMENT ON COLUMN ai_usage.calls IS 'How many calls.';
COMMENT ON COLUMN ai_usage.input_tokens IS 'Tokens of the questions.';
COMMENT ON COLUMN ai_usage.output_tokens IS 'Tokens of the answers.';
COMMENT ON COLUMN ai_usage.cost_microusd IS 'What they cost, in millionths of a US dollar; null as soon as the price of one call is not known.';

COMMENT ON TABLE job_attempts IS 'Jobs whose last try failed, one row per attachment and stage. A hint for people: no work rests on it.';
COMMENT ON COLUMN job_attempts.tenant_id IS 'Whose message it is.';
COMMENT ON COLUMN job_attempts.message_key IS 'The message.';
COMMENT ON COLUMN job_attempts.attachment_index IS 'Which attachment, from 0.';
COMMENT ON COLUMN job_attempts.stage IS 'store_media, describe or transcribe.';
COMMENT ON COLUMN job_attempts.generation IS '0 for live traffic, else the repair run.';
COMMENT ON COLUMN job_attempts.attempts IS 'How many tries so far.';
COMMENT ON COLUMN job_attempts.cause IS 'Why the last try failed, as a fixed word.';
COMMENT ON COLUMN job_attempts.detail IS 'Why, for a person.';
COMMENT ON COLUMN job_attempts.first_at IS 'The first try.';
COMMENT ON COLUMN job_attempts.last_at IS 'The last try.';
COMMENT ON COLUMN job_attempts.next_at IS 'The next try; null when there will be none.';

COMMENT ON TABLE tenants IS 'Tenants, with their settings sealed.';
COMMENT ON COLUMN tenants.tenant_id IS 'The tenant''s name.';
COMMENT ON COLUMN tenants.settings IS 'Its settings, sealed with SENSORIUM_SECRETS__KEY.';
COMMENT ON COLUMN tenants.created_at IS 'When it was added.';
COMMENT ON COLUMN tenants.removed_at IS 'When it was removed; the row stays so that late records are known.';
COMMENT ON COLUMN tenants.data_kept IS 'Whether its rows and files were kept when it was removed.';

COMMENT ON TABLE webhook_endpoints IS 'Addresses for webhooks, with their secrets sealed.';
COMMENT ON COLUMN webhook_endpoints.tenant_id IS 'Whose endpoint it is.';
COMMENT ON COLUMN webhook_endpoints.endpoint_id IS 'Its name in commands.';
COMMENT ON COLUMN webhook_endpoints.provider IS 'Whose webhooks it takes.';
COMMENT ON COLUMN webhook_endpoints.token_sha256 IS 'A digest of the token in its URL.';
COMMENT ON COLUMN webhook_endpoints.sealed IS 'Token, secrets and the provider''s API key, sealed with SENSORIUM_SECRETS__KEY.';
COMMENT ON COLUMN webhook_endpoints.created_at IS 'When it was added.';
COMMENT ON COLUMN webhook_endpoints.former_token_sha256 IS 'A digest of the token before, while it is still accepted.';
COMMENT ON COLUMN webhook_endpoints.former_token_until IS 'Until when the token before is accepted.';

COMMENT ON TABLE webhook_deliveries IS 'Webhook deliveries, counted per endpoint, day and what became of them. No bodies.';
COMMENT ON COLUMN webhook_deliveries.tenant_id IS 'Whose endpoint it is; empty for a token that nobody has.';
COMMENT ON COLUMN webhook_deliveries.endpoint_id IS 'The endpoint; for an unknown token a part of its digest.';
COMMENT ON COLUMN webhook_deliveries.day IS 'The day in UTC.';
COMMENT ON COLUMN webhook_deliveries.reason IS 'What became of them, as a fixed word.';
COMMENT ON COLUMN webhook_deliveries.secret_id IS 'Which live secret fitted.';
COMMENT ON COLUMN webhook_deliveries.deliveries IS 'How many.';
COMMENT ON COLUMN webhook_deliveries.first_at IS 'The first of them.';
COMMENT ON COLUMN webhook_deliveries.last_at IS 'The last of them.';
COMMENT ON COLUMN webhook_deliveries.last_status IS 'How the last was answered.';
COMMENT ON COLUMN webhook_deliveries.last_facts IS 'What is known of the last, for a person: never its body.';

COMMENT ON TABLE ended_tokens IS 'Tokens of webhook URLs that have ended, so that their use can be explained.';
COMMENT ON COLUMN ended_tokens.tenant_id IS 'Whose it was.';
COMMENT ON COLUMN ended_tokens.token_sha256 IS 'A digest of the token.';
COMMENT ON COLUMN ended_tokens.endpoint_id IS 'The endpoint that it led to.';
COMMENT ON COLUMN ended_tokens.provider IS 'The provider of the endpoint.';
COMMENT ON COLUMN ended_tokens.reason IS 'endpoint_removed or url_replaced.';
COMMENT ON COLUMN ended_tokens.ended_at IS 'When.';

COMMENT ON TABLE api_keys IS 'Keys of bots, people and services, as digests.';
COMMENT ON COLUMN api_keys.tenant_id IS 'Whose key it is.';
COMMENT ON COLUMN api_keys.key_sha256 IS 'A digest of the key.';
COMMENT ON COLUMN api_keys.scope IS 'chat, read or admin.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was added.';
COMMENT ON COLUMN api_keys.key_id IS 'Its name in commands.';
COMMENT ON COLUMN api_keys.name IS 'What it is for.';

COMMENT ON TABLE generations IS 'Repair runs: the number that all records of a run carry.';
COMMENT ON COLUMN generations.generation IS 'The number; live traffic is 0.';
COMMENT ON COLUMN generations.command IS 'The command.';
COMMENT ON COLUMN generations.detail IS 'What it was told to redo.';
COMMENT ON COLUMN generations.created_at IS 'When.';

COMMENT ON TABLE audit_log IS 'What commands and people in the console did.';
COMMENT ON COLUMN audit_log.id IS 'Their order.';
COMMENT ON COLUMN audit_log.tenant_id IS 'Whose things were changed.';
COMMENT ON COLUMN audit_log.action IS 'What was done, as a fixed word.';
COMMENT ON COLUMN audit_log.detail IS 'What was changed or looked at; holds no secret. It names a conversation or file that was looked at, until that is erased.';
COMMENT ON COLUMN audit_log.at IS 'When.';
COMMENT ON COLUMN audit_log.actor IS 'Who ran the command: user and host.';

COMMENT ON TABLE people IS 'People who may log in to the console.';
COMMENT ON COLUMN people.person_id IS 'Its number.';
COMMENT ON COLUMN people.name IS 'What they log in with.';
COMMENT ON COLUMN people.password IS 'A salted digest; null where only a login link lets them in.';
COMMENT ON COLUMN people.created_at IS 'When the person was added.';

COMMENT ON TABLE people_roles IS 'What a person may do for which tenant.';
COMMENT ON COLUMN people_roles.tenant_id IS 'The tenant; * stands for every one.';
COMMENT ON COLUMN people_roles.person_id IS 'The person.';
COMMENT ON COLUMN people_roles.role IS 'viewer, reader, operator or admin.';

COMMENT ON TABLE people_sessions IS 'Who is logged in.';
COMMENT ON COLUMN people_sessions.session_sha256 IS 'A digest of the session''s cookie.';
COMMENT ON COLUMN people_sessions.person_id IS 'The person.';
COMMENT ON COLUMN people_sessions.began_at IS 'When they logged in.';
COMMENT ON COLUMN people_sessions.seen_at IS 'Their last request.';

COMMENT ON TABLE login_links IS 'Links that let a person in once.';
COMMENT ON COLUMN login_links.link_sha256 IS 'A digest of the link.';
COMMENT ON COLUMN login_links.person_id IS 'The person.';
COMMENT ON COLUMN login_links.ends_at IS 'Until when it works.';

COMMENT ON TABLE login_failures IS 'Failed logins, so that guessing is slowed down.';
COMMENT ON COLUMN login_failures.bucket IS 'A digest of an account, of an address, or of both.';
COMMENT ON COLUMN login_failures.failures IS 'How many.';
COMMENT ON COLUMN login_failures.since IS 'From when they are counted.';

COMMENT ON TABLE unmasked_conversations IS 'Conversations that a session sees with names and numbers.';
COMMENT ON COLUMN unmasked_conversations.tenant_id IS 'Whose conversation it is.';
COMMENT ON COLUMN unmasked_conversations.conversation_id IS 'The conversation.';
COMMENT ON COLUMN unmasked_conversations.session_sha256 IS 'The session.';
COMMENT ON COLUMN unmasked_conversations.ends_at IS 'Until when.';

COMMENT ON TABLE directory_changes IS 'Which tenants changed when: roles read again what is newer than their copy.';
COMMENT ON COLUMN directory_changes.tenant_id IS 'The tenant.';
COMMENT ON COLUMN directory_changes.change IS 'The transaction that changed its row, endpoints or keys last.';

COMMENT ON TABLE schema_migrations IS 'Which migrations this schema has.';
COMMENT ON COLUMN schema_migrations.name IS 'The migration.';
COMMENT ON COLUMN schema_migrations.sha256 IS 'Of its text.';
COMMENT ON COLUMN schema_migrations.applied_at IS 'When.';

COMMENT ON TABLE people IS 'Who may log in to the console.';
COMMENT ON COLUMN people.person_id IS 'The person.';
COMMENT ON COLUMN people.name IS 'What they log in with, lower case.';
COMMENT ON COLUMN people.password IS 'The argon2id hash with its parameters; null: only by a login link.';
COMMENT ON COLUMN people.created_at IS 'When.';

COMMENT ON TABLE people_roles IS 'What a person may do at a tenant.';
COMMENT ON COLUMN people_roles.tenant_id IS 'The tenant; * stands for every one.';
COMMENT ON COLUMN people_roles.person_id IS 'The person.';
COMMENT ON COLUMN people_roles.role IS 'viewer, reader, operator or admin; each may do what those before it may.';

COMMENT ON TABLE people_sessions IS 'Who is logged in.';
COMMENT ON COLUMN people_sessions.session_sha256 IS 'Digest of the cookie.';
COMMENT ON COLUMN people_sessions.person_id IS 'The person.';
COMMENT ON COLUMN people_sessions.began_at IS 'The login: a session is over a day later.';
COMMENT ON COLUMN people_sessions.seen_at IS 'The last request, to the minute: a session is over when it was idle for two hours.';

COMMENT ON TABLE login_links IS 'Links that log a person in once.';
COMMENT ON COLUMN login_links.link_sha256 IS 'Digest of the token in the link.';
COMMENT ON COLUMN login_links.person_id IS 'The person.';
COMMENT ON COLUMN login_links.ends_at IS 'When it is over.';

COMMENT ON TABLE login_failures IS 'Failed logins of the last quarter of an hour.';
COMMENT ON COLUMN login_failures.bucket IS 'Digest of an account, of an address, or of both.';
COMMENT ON COLUMN login_failures.failures IS 'How many.';
COMMENT ON COLUMN login_failures.since IS 'The first of them.';

COMMENT ON TABLE unmasked_conversations IS 'What a viewer has unmasked for one session, for a while.';
COMMENT ON COLUMN unmasked_conversations.tenant_id IS 'The tenant.';
COMMENT ON COLUMN unmasked_conversations.conversation_id IS 'The conversation.';
COMMENT ON COLUMN unmasked_conversations.session_sha256 IS 'The session that sees it.';
COMMENT ON COLUMN unmasked_conversations.ends_at IS 'When it is masked again.';

COMMENT ON TABLE repairs IS 'Repairs of failed files that people planned, and how far they are.';
COMMENT ON COLUMN repairs.tenant_id IS 'The tenant.';
COMMENT ON COLUMN repairs.repair_id IS 'The repair.';
COMMENT ON COLUMN repairs.reason IS 'The reason of what it tries again; empty: any.';
COMMENT ON COLUMN repairs.state IS 'planned, running, done or cancelled.';
COMMENT ON COLUMN repairs.person IS 'Who planned it.';
COMMENT ON COLUMN repairs.messages IS 'How many messages or records the plan counted.';
COMMENT ON COLUMN repairs.files IS 'What the plan counted, by tenant, reason and kind, and what it may cost.';
COMMENT ON COLUMN repairs.created_at IS 'When it was planned.';
COMMENT ON COLUMN repairs.ends_at IS 'When the plan can no longer be applied.';
COMMENT ON COLUMN repairs.began_at IS 'When it was applied; what failed later is not in it.';
COMMENT ON COLUMN repairs.ended_at IS 'When it was done or cancelled.';
COMMENT ON COLUMN repairs.generation IS 'The generation of what it writes.';
COMMENT ON COLUMN repairs.looked IS 'How many messages or records it has come to.';
COMMENT ON COLUMN repairs.redone IS 'How many files it has redone or records it has sent again.';
COMMENT ON COLUMN repairs.set_aside IS 'How many it left because they were tried too often.';
COMMENT ON COLUMN repairs.done_at IS 'Arrival of the last one it has come to.';
COMMENT ON COLUMN repairs.done_key IS 'Key or place of that one.';
COMMENT ON COLUMN repairs.held_until IS 'How long one process works on it alone.';
COMMENT ON COLUMN repairs.kind IS 'attachments, quarantine or raw.';
COMMENT ON COLUMN repairs.choice IS 'Which records: stage, reason, place, or spans of offsets.';
COMMENT ON COLUMN repairs.rate IS 'Records per second at most; 0 is without a limit.';
COMMENT ON COLUMN repairs.portion IS 'The number of the last portion that is done.';
COMMENT ON COLUMN repairs.intent IS 'The portion at hand: whoever continues asks Kafka whether it was written.';
COMMENT ON COLUMN repairs.holder IS 'The process that holds it.';
COMMENT ON COLUMN repairs.trouble IS 'What is away, while it waits.';

COMMENT ON TABLE repair_tries IS 'How often failed files of a message, or a quarantined record, were tried again.';
COMMENT ON COLUMN repair_tries.tenant_id IS 'The tenant.';
COMMENT ON COLUMN repair_tries.message_key IS 'The message.';
COMMENT ON COLUMN repair_tries.reason IS 'Why the files failed; or the stage and digest of the record.';
COMMENT ON COLUMN repair_tries.tries IS 'How often.';

COMMENT ON TABLE stage_minutes IS 'What each process did in each minute of the last two days, for the console''s picture of the pipeline.';
COMMENT ON COLUMN stage_minutes.minute IS 'When the minute began, by the clock of the process.';
COMMENT ON COLUMN stage_minutes.stage IS 'The stage, or receive or sink.';
COMMENT ON COLUMN stage_minutes.member IS 'The process: another word after each start.';
COMMENT ON COLUMN stage_minutes.written_at IS 'When the process wrote this last.';
COMMENT ON COLUMN stage_minutes.records IS 'How many records, requests or rows ended in this minute.';
COMMENT ON COLUMN stage_minutes.per_second IS 'How many per second at last.';
COMMENT ON COLUMN stage_minutes.outcomes IS 'What became of them: a word and how many.';
COMMENT ON COLUMN stage_minutes.took IS 'How many took how long, by the bounds of the metrics, the longest last.';
COMMENT ON COLUMN stage_minutes.unread IS 'Records of the source that were not read yet.';
COMMENT ON COLUMN stage_minutes.waiting IS 'Admitted, unfinished jobs.';
COMMENT ON COLUMN stage_minutes.oldest_seconds IS 'Age of the oldest of them.';
