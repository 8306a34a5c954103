-- What each user cost a day, whatever the feature, in the order of users: a user's days are found at
-- once, and the dearest of many users by far fewer rows. Made and noted with users_daily.
-- What a start that died here has put in would count twice.
DROP TABLE IF EXISTS taximeter.user_totals_daily SYNC;

CREATE TABLE IF NOT EXISTS taximeter.user_totals_daily
(
    day                 Date                           CODEC(ZSTD(1)),
    user_id             String                         CODEC(ZSTD(1)),
    calls               UInt64                         CODEC(T64, ZSTD(1)),
    errors              UInt64                         CODEC(T64, ZSTD(1)),
    unpriced_calls      UInt64                         CODEC(T64, ZSTD(1)),
    estimated_calls     UInt64                         CODEC(T64, ZSTD(1)),
    input_tokens        UInt64                         CODEC(T64, ZSTD(1)),
    cached_input_tokens UInt64                         CODEC(T64, ZSTD(1)),
    cache_write_tokens  UInt64                         CODEC(T64, ZSTD(1)),
    output_tokens       UInt64                         CODEC(T64, ZSTD(1)),
    reasoning_tokens    UInt64                         CODEC(T64, ZSTD(1)),
    cost                Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    estimated_cost      Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    cost_input          Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    cost_cached_input   Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    cost_cache_write    Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    cost_output         Decimal(38, 12)                CODEC(GCD, ZSTD(1)),
    version             UInt64                         CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (user_id, day)
TTL day + INTERVAL 3 YEAR;

CREATE OR REPLACE VIEW taximeter.user_totals_of_rows AS
SELECT
    toDate(hour) AS day, user_id,
    sum(one.calls) AS calls,
    sum(one.errors) AS errors,
    sum(one.unpriced_calls) AS unpriced_calls,
    sum(one.estimated_calls) AS estimated_calls,
    sum(one.input_tokens) AS input_tokens,
    sum(one.cached_input_tokens) AS cached_input_tokens,
    sum(one.cache_write_tokens) AS cache_write_tokens,
    sum(one.output_tokens) AS output_tokens,
    sum(one.reasoning_tokens) AS reasoning_tokens,
    sum(one.cost) AS cost,
    sum(one.estimated_cost) AS estimated_cost,
    sum(one.cost_input) AS cost_input,
    sum(one.cost_cached_input) AS cost_cached_input,
    sum(one.cost_cache_write) AS cost_cache_write,
    sum(one.cost_output) AS cost_output
FROM taximeter.spend_of_calls AS one
GROUP BY day, user_id;

CREATE OR REPLACE VIEW taximeter.user_totals_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.user_totals_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.user_days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_user_days), day)
    GROUP BY day
)
UNION ALL
SELECT *
FROM taximeter.user_totals_of_rows
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_user_days)));

INSERT INTO taximeter.user_totals_daily
SELECT
    day, user_id,
    sum(one.calls), sum(one.errors), sum(one.unpriced_calls), sum(one.estimated_calls),
    sum(one.input_tokens), sum(one.cached_input_tokens), sum(one.cache_write_tokens),
    sum(one.output_tokens), sum(one.reasoning_tokens),
    sum(one.cost), sum(one.estimated_cost),
    sum(one.cost_input), sum(one.cost_cached_input), sum(one.cost_cache_write), sum(one.cost_output),
    one.version
FROM taximeter.users_daily AS one
WHERE (day, one.version) IN (
    SELECT day, max(version) FROM taximeter.user_days_done WHERE hours_version != 0 GROUP BY day
)
GROUP BY day, user_id, one.version
SETTINGS max_bytes_before_external_group_by = 1000000000;

-- Dollars are multiples of rates: a third smaller from the next merge on.
ALTER TABLE taximeter.users_daily
    MODIFY COLUMN cost CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN estimated_cost CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN cost_input CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN cost_cached_input CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN cost_cache_write CODEC(GCD, ZSTD(1)),
    MODIFY COLUMN cost_output CODEC(GCD, ZSTD(1));
