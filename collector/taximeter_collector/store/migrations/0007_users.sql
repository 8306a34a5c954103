-- What each user cost a day. Only days that are over are kept here; today's users are read from the
-- rows, as are those of a day whose hours have changed since.
CREATE TABLE IF NOT EXISTS taximeter.users_daily
(
    day                 Date                           CODEC(Delta(2), ZSTD(1)),
    environment         LowCardinality(String),
    feature             LowCardinality(String),
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
    cost                Decimal(38, 12)                CODEC(ZSTD(1)),
    estimated_cost      Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_input          Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_cached_input   Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_cache_write    Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_output         Decimal(38, 12)                CODEC(ZSTD(1)),
    version             UInt64                         CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (day, environment, feature, user_id)
TTL day + INTERVAL 3 YEAR;

CREATE TABLE IF NOT EXISTS taximeter.user_days_done
(
    day           Date,
    hours_version UInt64,
    version       UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE VIEW IF NOT EXISTS taximeter.users_of_rows AS
SELECT
    toDate(hour) AS day, environment, feature, user_id,
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
GROUP BY day, environment, feature, user_id;

CREATE VIEW IF NOT EXISTS taximeter.stale_user_days AS
SELECT hours.day AS day, hours.version AS hours_version
FROM (SELECT toDate(hour) AS day, max(version) AS version FROM taximeter.hours_done GROUP BY day) AS hours
LEFT JOIN (SELECT day, max(hours_version) AS version FROM taximeter.user_days_done GROUP BY day) AS done
    ON done.day = hours.day
WHERE hours.version > ifNull(done.version, 0);

CREATE VIEW IF NOT EXISTS taximeter.open_user_days AS
SELECT toDate(hour) AS day FROM taximeter.open_hours
UNION DISTINCT
SELECT day FROM taximeter.stale_user_days;

CREATE VIEW IF NOT EXISTS taximeter.users_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.users_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.user_days_done
    WHERE NOT has((SELECT groupArray(day) FROM taximeter.open_user_days), day)
    GROUP BY day
)
UNION ALL
SELECT *
FROM taximeter.users_of_rows
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_user_days)));
