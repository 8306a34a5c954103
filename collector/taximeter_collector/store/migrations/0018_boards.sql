-- How a budget's period went and where it is heading: cumulative US dollars, a point a day.
ALTER TABLE taximeter.budget_lines
    ADD COLUMN IF NOT EXISTS is_everything Bool, -- its scope is all calls
    ADD COLUMN IF NOT EXISTS course Array(Tuple(at DateTime('UTC'), usd Decimal(38, 12))),
    ADD COLUMN IF NOT EXISTS ahead  Array(Tuple(at DateTime('UTC'), usd Decimal(38, 12)));

-- All spend of a calendar month in UTC, and what is expected at its end.
CREATE TABLE IF NOT EXISTS taximeter.month_forecasts
(
    month          Date,
    spent          Decimal(38, 12),
    unpriced_calls UInt64,
    forecast       Nullable(Decimal(38, 12)),
    taken_at       DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(taken_at)
ORDER BY month;

-- Since when a prompt has had a version, to the hour.
CREATE TABLE IF NOT EXISTS taximeter.prompt_versions
(
    environment    LowCardinality(String),
    team           LowCardinality(String),
    feature        LowCardinality(String),
    prompt_name    LowCardinality(String),
    prompt_version LowCardinality(String),
    first_at       SimpleAggregateFunction(min, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (environment, team, feature, prompt_name, prompt_version);

-- How the meter itself was doing.
CREATE TABLE IF NOT EXISTS taximeter.meter_lines
(
    at       DateTime64(3, 'UTC'),
    lag_s    Float64, -- for how long the oldest calls have waited for the store
    rejected Map(LowCardinality(String), UInt64) -- spans since the line before, by reason
)
ENGINE = MergeTree
ORDER BY at
TTL toDateTime(at) + INTERVAL 400 DAY;
