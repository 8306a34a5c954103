-- One row per re-pricing, and one per step of it: what the step found and did. A step is noted before
-- its calls are written, so that after a crash the last noted step is done again and no other.
CREATE TABLE IF NOT EXISTS taximeter.repricings
(
    id           String,
    asked_by     String,
    started_at   DateTime64(3, 'UTC'),
    finished_at  Nullable(DateTime64(3, 'UTC')),
    book_version String,
    start        DateTime64(3, 'UTC'),
    end          DateTime64(3, 'UTC'),
    scope        Map(String, Array(String))
)
ENGINE = ReplacingMergeTree
ORDER BY (started_at, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS taximeter.repricing_steps
(
    id         String,
    first_hour DateTime('UTC'),
    end_hour   DateTime('UTC'),
    after      String, -- the step's calls are those of its hours whose call_id is larger
    upto       String, -- and not larger than this; '' is no bound
    lines Array(Tuple(day Date, model String, calls UInt64, changed UInt64, before Decimal(38, 12),
                      after Decimal(38, 12), unpriced_before UInt64, unpriced_after UInt64))
)
ENGINE = ReplacingMergeTree
ORDER BY (id, first_hour, after)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
