-- One row per call. `call_id` is its identity: a re-sent, re-labelled or re-priced call is a later
-- revision of the same row, whatever its other columns say. `ts` never changes for a call.
CREATE TABLE IF NOT EXISTS taximeter.calls
(
    ts                  DateTime64(3, 'UTC')           CODEC(T64, ZSTD(1)),
    call_id             String                         CODEC(ZSTD(1)),
    revision            UInt64                         CODEC(T64, ZSTD(1)),
    ingested_at         DateTime64(3, 'UTC')           CODEC(T64, ZSTD(1)),
    trace_id            String                         CODEC(ZSTD(1)),
    span_id             String                         CODEC(ZSTD(1)),
    parent_span_id      String                         CODEC(ZSTD(1)),
    request_id          String                         CODEC(ZSTD(1)),
    environment         LowCardinality(String)         CODEC(ZSTD(1)),
    service             LowCardinality(String)         CODEC(ZSTD(1)),
    feature             LowCardinality(String)         CODEC(ZSTD(1)),
    team                LowCardinality(String)         CODEC(ZSTD(1)),
    user_id             String                         CODEC(ZSTD(1)),
    session_id          String                         CODEC(ZSTD(1)),
    prompt_name         LowCardinality(String)         CODEC(ZSTD(1)),
    prompt_version      LowCardinality(String)         CODEC(ZSTD(1)),
    api_key_id          LowCardinality(String)         CODEC(ZSTD(1)),
    project             LowCardinality(String)         CODEC(ZSTD(1)),
    organization        LowCardinality(String)         CODEC(ZSTD(1)),
    provider            LowCardinality(String)         CODEC(ZSTD(1)),
    operation           LowCardinality(String)         CODEC(ZSTD(1)),
    endpoint            LowCardinality(String)         CODEC(ZSTD(1)),
    server_address      LowCardinality(String)         CODEC(ZSTD(1)),
    server_port         Nullable(UInt16)               CODEC(T64, ZSTD(1)),
    model               LowCardinality(String)         CODEC(ZSTD(1)),
    request_model       LowCardinality(String)         CODEC(ZSTD(1)),
    service_tier        LowCardinality(String)         CODEC(ZSTD(1)),
    request_service_tier LowCardinality(String)        CODEC(ZSTD(1)),
    stream              Bool                           CODEC(ZSTD(1)),
    batch               Bool                           CODEC(ZSTD(1)),
    finish_reason       LowCardinality(String)         CODEC(ZSTD(1)),
    error_type          LowCardinality(String)         CODEC(ZSTD(1)),
    http_status         Nullable(UInt16)               CODEC(T64, ZSTD(1)),
    attempts            Nullable(UInt8)                CODEC(T64, ZSTD(1)),
    attempt_statuses    Array(UInt16)                  CODEC(ZSTD(1)),
    attempt_waits_ms    Array(UInt32)                  CODEC(ZSTD(1)),
    remaining_requests  Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    remaining_tokens    Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    max_output_tokens   Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    timeout_set         Nullable(Bool)                 CODEC(ZSTD(1)),
    request_hash        String                         CODEC(ZSTD(1)),
    prefix_hash         LowCardinality(String)         CODEC(ZSTD(1)),
    system_tokens       Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    history_tokens      Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    tools_tokens        Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    duration_ms         UInt32                         CODEC(T64, ZSTD(1)),
    ttft_ms             Nullable(UInt32)               CODEC(T64, ZSTD(1)),
    usage_source        Enum8('reported' = 1, 'estimated' = 2, 'lost' = 3, 'invalid' = 4, 'none' = 5) CODEC(ZSTD(1)),
    input_tokens        UInt32                         CODEC(T64, ZSTD(1)),
    cached_input_tokens UInt32                         CODEC(GCD, ZSTD(1)),
    cache_write_tokens  UInt32                         CODEC(T64, ZSTD(1)),
    output_tokens       UInt32                         CODEC(T64, ZSTD(1)),
    reasoning_tokens    UInt32                         CODEC(T64, ZSTD(1)),
    audio_input_tokens  UInt32                         CODEC(T64, ZSTD(1)),
    audio_output_tokens UInt32                         CODEC(T64, ZSTD(1)),
    image_input_tokens  UInt32                         CODEC(T64, ZSTD(1)),
    image_output_tokens UInt32                         CODEC(T64, ZSTD(1)),
    meters              Map(LowCardinality(String), Decimal(18, 6)) CODEC(ZSTD(1)),
    tags                Map(LowCardinality(String), String)         CODEC(ZSTD(1)),
    rate_card           LowCardinality(String)         CODEC(ZSTD(1)),
    book_version        LowCardinality(String)         CODEC(ZSTD(1)),
    price_input         Nullable(Decimal(18, 12))      CODEC(ZSTD(1)), -- USD per token, as applied
    price_cached_input  Nullable(Decimal(18, 12))      CODEC(ZSTD(1)),
    price_cache_write   Nullable(Decimal(18, 12))      CODEC(ZSTD(1)),
    price_output        Nullable(Decimal(18, 12))      CODEC(ZSTD(1)),
    cost                Nullable(Decimal(18, 12))      CODEC(GCD, T64, ZSTD(1)), -- USD
    cost_status         Enum8('exact' = 1, 'estimated' = 2, 'free' = 3, 'unpriced' = 4) CODEC(ZSTD(1)),
    cost_reason         LowCardinality(String)         CODEC(ZSTD(1)),
    cost_input          Nullable(Decimal(18, 12)) ALIAS (input_tokens - cached_input_tokens - cache_write_tokens) * price_input,
    cost_cached_input   Nullable(Decimal(18, 12)) ALIAS cached_input_tokens * price_cached_input,
    cost_cache_write    Nullable(Decimal(18, 12)) ALIAS cache_write_tokens * price_cache_write,
    cost_output         Nullable(Decimal(18, 12)) ALIAS output_tokens * price_output,
    INDEX call_ids    call_id    TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX trace_ids   trace_id   TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX request_ids request_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX users       user_id    TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toMonday(ts)
ORDER BY (toStartOfHour(ts), call_id)
TTL toDateTime(ts) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1, fsync_part_directory = 1;

-- Which hours hold something newer than their rollup. The writer marks an hour before it inserts.
-- A refresh notes the mark, reads the rows, writes them under a version of its own and then notes
-- both here. A rollup row counts only while its version is its hour's current one.
CREATE TABLE IF NOT EXISTS taximeter.dirty_hours
(
    hour DateTime('UTC'),
    seq  UInt64
)
ENGINE = ReplacingMergeTree(seq)
ORDER BY hour
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS taximeter.hours_done
(
    hour    DateTime('UTC'),
    seq     UInt64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY hour
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS taximeter.days_done
(
    day           Date,
    hours_version UInt64,
    version       UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS taximeter.spend_hourly
(
    hour                DateTime('UTC')                CODEC(Delta(4), ZSTD(1)),
    environment         LowCardinality(String),
    service             LowCardinality(String),
    team                LowCardinality(String),
    feature             LowCardinality(String),
    provider            LowCardinality(String),
    model               LowCardinality(String),
    service_tier        LowCardinality(String),
    operation           LowCardinality(String),
    api_key_id          LowCardinality(String),
    prompt_name         LowCardinality(String),
    prompt_version      LowCardinality(String),
    calls               UInt64                         CODEC(T64, ZSTD(1)),
    errors              UInt64                         CODEC(T64, ZSTD(1)),
    unpriced_calls      UInt64                         CODEC(T64, ZSTD(1)),
    estimated_calls     UInt64                         CODEC(T64, ZSTD(1)),
    input_tokens        UInt64                         CODEC(T64, ZSTD(1)),
    cached_input_tokens UInt64                         CODEC(T64, ZSTD(1)),
    cache_write_tokens  UInt64                         CODEC(T64, ZSTD(1)),
    output_tokens       UInt64                         CODEC(T64, ZSTD(1)),
    reasoning_tokens    UInt64                         CODEC(T64, ZSTD(1)),
    cost                Decimal(38, 12)                CODEC(ZSTD(1)), -- of the priced calls
    estimated_cost      Decimal(38, 12)                CODEC(ZSTD(1)), -- the part of it that is estimated
    cost_input          Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_cached_input   Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_cache_write    Decimal(38, 12)                CODEC(ZSTD(1)),
    cost_output         Decimal(38, 12)                CODEC(ZSTD(1)),
    version             UInt64                         CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (hour, environment, service, team, feature)
ORDER BY (hour, environment, service, team, feature, provider, model, service_tier, operation, api_key_id, prompt_name, prompt_version)
TTL hour + INTERVAL 3 YEAR;

CREATE TABLE IF NOT EXISTS taximeter.latency_hourly
(
    hour     DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment LowCardinality(String),
    feature  LowCardinality(String),
    model    LowCardinality(String),
    duration AggregateFunction(quantilesBFloat16(0.5, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    ttft     AggregateFunction(quantilesBFloat16(0.5, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    version  UInt64          CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, environment, feature, model)
TTL hour + INTERVAL 3 YEAR;

CREATE TABLE IF NOT EXISTS taximeter.spend_daily
(
    day                 Date                           CODEC(Delta(2), ZSTD(1)),
    environment         LowCardinality(String),
    service             LowCardinality(String),
    team                LowCardinality(String),
    feature             LowCardinality(String),
    provider            LowCardinality(String),
    model               LowCardinality(String),
    service_tier        LowCardinality(String),
    operation           LowCardinality(String),
    api_key_id          LowCardinality(String),
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
ORDER BY (day, environment, service, team, feature, provider, model, service_tier, operation, api_key_id)
TTL day + INTERVAL 5 YEAR;

-- What each call adds to a sum.
CREATE VIEW IF NOT EXISTS taximeter.spend_of_calls AS
SELECT
    ts, user_id, toStartOfHour(ts) AS hour, environment, service, team, feature, provider, model,
    service_tier, operation, api_key_id, prompt_name, prompt_version,
    toUInt64(1) AS calls,
    toUInt64(error_type != '') AS errors,
    toUInt64(cost_status = 'unpriced') AS unpriced_calls,
    toUInt64(cost_status = 'estimated') AS estimated_calls,
    toUInt64(rows.input_tokens) AS input_tokens,
    toUInt64(rows.cached_input_tokens) AS cached_input_tokens,
    toUInt64(rows.cache_write_tokens) AS cache_write_tokens,
    toUInt64(rows.output_tokens) AS output_tokens,
    toUInt64(rows.reasoning_tokens) AS reasoning_tokens,
    ifNull(rows.cost, toDecimal64(0, 12)) AS cost,
    if(cost_status = 'estimated', ifNull(rows.cost, toDecimal64(0, 12)), toDecimal64(0, 12)) AS estimated_cost,
    ifNull(rows.cost_input, toDecimal64(0, 12)) AS cost_input,
    ifNull(rows.cost_cached_input, toDecimal64(0, 12)) AS cost_cached_input,
    ifNull(rows.cost_cache_write, toDecimal64(0, 12)) AS cost_cache_write,
    ifNull(rows.cost_output, toDecimal64(0, 12)) AS cost_output
FROM taximeter.calls AS rows FINAL;

-- The same by hour, grouped as the rollup groups: what a refresh writes, and what an open hour is
-- read from.
CREATE VIEW IF NOT EXISTS taximeter.spend_of_rows AS
SELECT
    hour, environment, service, team, feature, provider, model, service_tier, operation, api_key_id,
    prompt_name, prompt_version,
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
GROUP BY hour, environment, service, team, feature, provider, model, service_tier, operation,
    api_key_id, prompt_name, prompt_version;

CREATE VIEW IF NOT EXISTS taximeter.latency_of_rows AS
SELECT
    toStartOfHour(ts) AS hour, environment, feature, model,
    quantilesBFloat16State(0.5, 0.95, 0.99)(duration_ms) AS duration,
    quantilesBFloat16StateIf(0.5, 0.95, 0.99)(assumeNotNull(ttft_ms), isNotNull(ttft_ms)) AS ttft
FROM taximeter.calls FINAL
GROUP BY hour, environment, feature, model;

CREATE VIEW IF NOT EXISTS taximeter.open_hours AS
SELECT marked.hour AS hour, marked.seq AS seq
FROM (SELECT hour, max(seq) AS seq FROM taximeter.dirty_hours GROUP BY hour) AS marked
LEFT JOIN (SELECT hour, max(seq) AS seq FROM taximeter.hours_done GROUP BY hour) AS done
    ON done.hour = marked.hour
WHERE marked.seq > ifNull(done.seq, 0);

CREATE VIEW IF NOT EXISTS taximeter.stale_days AS
SELECT hours.day AS day, hours.version AS hours_version
FROM (SELECT toDate(hour) AS day, max(version) AS version FROM taximeter.hours_done GROUP BY day) AS hours
LEFT JOIN (SELECT day, max(hours_version) AS version FROM taximeter.days_done GROUP BY day) AS done
    ON done.day = hours.day
WHERE hours.version > ifNull(done.version, 0);

-- Exact at every moment: closed hours from the rollup, open ones from the rows. The open hours are
-- a scalar, which one query evaluates once, so both halves agree while a refresh goes on beside it.
CREATE VIEW IF NOT EXISTS taximeter.spend_by_hour AS
SELECT * EXCEPT (version)
FROM taximeter.spend_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT *
FROM taximeter.spend_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

CREATE VIEW IF NOT EXISTS taximeter.latency_by_hour AS
SELECT * EXCEPT (version)
FROM taximeter.latency_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT *
FROM taximeter.latency_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

CREATE VIEW IF NOT EXISTS taximeter.spend_of_hours AS
SELECT
    toDate(hour) AS day, environment, service, team, feature, provider, model, service_tier,
    operation, api_key_id,
    sum(by_hour.calls) AS calls,
    sum(by_hour.errors) AS errors,
    sum(by_hour.unpriced_calls) AS unpriced_calls,
    sum(by_hour.estimated_calls) AS estimated_calls,
    sum(by_hour.input_tokens) AS input_tokens,
    sum(by_hour.cached_input_tokens) AS cached_input_tokens,
    sum(by_hour.cache_write_tokens) AS cache_write_tokens,
    sum(by_hour.output_tokens) AS output_tokens,
    sum(by_hour.reasoning_tokens) AS reasoning_tokens,
    sum(by_hour.cost) AS cost,
    sum(by_hour.estimated_cost) AS estimated_cost,
    sum(by_hour.cost_input) AS cost_input,
    sum(by_hour.cost_cached_input) AS cost_cached_input,
    sum(by_hour.cost_cache_write) AS cost_cache_write,
    sum(by_hour.cost_output) AS cost_output
FROM taximeter.spend_by_hour AS by_hour
GROUP BY day, environment, service, team, feature, provider, model, service_tier, operation, api_key_id;

CREATE VIEW IF NOT EXISTS taximeter.open_days AS
SELECT toDate(hour) AS day FROM taximeter.open_hours
UNION DISTINCT
SELECT day FROM taximeter.stale_days;

CREATE VIEW IF NOT EXISTS taximeter.spend_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.spend_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.days_done
    WHERE NOT has((SELECT groupArray(day) FROM taximeter.open_days), day)
    GROUP BY day
)
UNION ALL
SELECT *
FROM taximeter.spend_of_hours
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_days)));
