-- When a message was delivered again within one batch of the sink. Deliveries in other batches have rows of their own.

ALTER TABLE arrival_records ADD COLUMN again_at timestamptz[], ADD COLUMN again_offsets bigint[];
