-- In a cluster what is noted for all shards goes to each of them by its number; here it is 0.
ALTER TABLE taximeter.dirty_hours ADD COLUMN IF NOT EXISTS shard UInt32;

ALTER TABLE taximeter.user_days_done ADD COLUMN IF NOT EXISTS shard UInt32;
