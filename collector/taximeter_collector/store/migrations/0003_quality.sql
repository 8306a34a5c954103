ALTER TABLE taximeter.calls ADD COLUMN IF NOT EXISTS tags_altered Nullable(UInt16) CODEC(T64, ZSTD(1)) AFTER tags;

-- Spans that apps could not deliver. A re-sent batch tells by the same span, and counts once.
CREATE TABLE IF NOT EXISTS taximeter.lost_spans
(
    told_at     DateTime64(3, 'UTC'),
    told_by     String,
    service     LowCardinality(String),
    environment LowCardinality(String),
    spans       UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (told_at, told_by)
TTL toDateTime(told_at) + INTERVAL 400 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
