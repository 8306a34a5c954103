-- One row per comparison with OpenAI's bill; none is ever replaced, so that a revised day shows.
CREATE TABLE IF NOT EXISTS taximeter.reconciliations
(
    month          Date,
    taken_at       DateTime64(3, 'UTC'),
    billed         Decimal(38, 12), -- USD, by OpenAI
    metered        Decimal(38, 12), -- USD, by us
    unpriced_calls UInt64,
    causes Array(Tuple(kind String, detail String, usd Decimal(38, 12))),
    days   Array(Tuple(day Date, billed Decimal(38, 12), metered Decimal(38, 12), is_final Bool)),
    lines  Array(Tuple(project String, key String, item String, billed Decimal(38, 12), metered Decimal(38, 12))),
    gaps   Array(Tuple(hour DateTime('UTC'), project String, key String, model String, batch Bool,
                       service_tier String, requests UInt64, calls UInt64, billed_tokens UInt64, metered_tokens UInt64))
)
ENGINE = MergeTree
ORDER BY (month, taken_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
