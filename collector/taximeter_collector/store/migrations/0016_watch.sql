-- What the watch says, for dashboards: the state database is where it is decided.
CREATE TABLE IF NOT EXISTS taximeter.budget_lines
(
    budget       LowCardinality(String),
    value        String,          -- of a budget for each user or the like
    period_start DateTime('UTC'),
    period_end   DateTime('UTC'),
    amount       Decimal(38, 12), -- USD
    spent        Decimal(38, 12), -- USD, of priced calls
    unpriced_calls UInt64,
    forecast     Nullable(Decimal(38, 12)), -- USD at the period's end
    thresholds   Array(UInt16),   -- percent
    taken_at     DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(taken_at)
ORDER BY (budget, value, period_start)
TTL period_end + INTERVAL 3 YEAR;

CREATE TABLE IF NOT EXISTS taximeter.alert_log
(
    at       DateTime64(3, 'UTC'),
    id       String,
    channel  LowCardinality(String),
    budget   String,
    value    String,
    kind     LowCardinality(String),
    percent  UInt16,
    spent    Nullable(Decimal(38, 12)),
    amount   Nullable(Decimal(38, 12)),
    state    LowCardinality(String),
    attempts UInt32,
    error    String,
    taken_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(taken_at)
ORDER BY (at, id, channel)
TTL toDateTime(at) + INTERVAL 3 YEAR;

CREATE TABLE IF NOT EXISTS taximeter.finding_lines
(
    taken_at    DateTime64(3, 'UTC'),
    kind        LowCardinality(String),
    feature     LowCardinality(String),
    model       LowCardinality(String),
    advice      String,
    evidence    String,
    usd_a_month Decimal(38, 12),
    confidence  LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY taken_at
TTL toDateTime(taken_at) + INTERVAL 90 DAY;
