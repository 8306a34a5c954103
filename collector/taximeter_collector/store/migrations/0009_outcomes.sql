-- How calls ended, by hour: what the quality of the data and the traffic are read from.
CREATE TABLE IF NOT EXISTS taximeter.outcomes_hourly
(
    hour           DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment    LowCardinality(String),
    service        LowCardinality(String),
    feature        LowCardinality(String),
    model          LowCardinality(String),
    http_status    UInt16          CODEC(T64, ZSTD(1)), -- 0 is unknown
    error_type     LowCardinality(String),
    usage_source   LowCardinality(String),
    cost_status    LowCardinality(String),
    cost_reason    LowCardinality(String),
    calls          UInt64          CODEC(T64, ZSTD(1)),
    altered_calls  UInt64          CODEC(T64, ZSTD(1)), -- some of their tags were not kept as given
    retried_calls  UInt64          CODEC(T64, ZSTD(1)),
    extra_attempts UInt64          CODEC(T64, ZSTD(1)), -- beyond each call's first
    version        UInt64          CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
PRIMARY KEY (hour, environment, service, feature)
ORDER BY (hour, environment, service, feature, model, http_status, error_type, usage_source, cost_status, cost_reason)
TTL hour + INTERVAL 3 YEAR;

CREATE OR REPLACE VIEW taximeter.outcomes_of_rows AS
SELECT
    toStartOfHour(ts) AS hour, environment, service, feature, model,
    ifNull(rows.http_status, 0) AS http_status,
    error_type,
    toLowCardinality(toString(rows.usage_source)) AS usage_source,
    toLowCardinality(toString(rows.cost_status)) AS cost_status,
    cost_reason,
    count() AS calls,
    countIf(tags_altered > 0) AS altered_calls,
    countIf(attempts > 1) AS retried_calls,
    sum(if(attempts > 1, toUInt64(assumeNotNull(attempts)) - 1, 0)) AS extra_attempts
FROM taximeter.calls AS rows FINAL
GROUP BY hour, environment, service, feature, model, http_status, error_type, usage_source, cost_status,
    cost_reason;

CREATE OR REPLACE VIEW taximeter.outcomes_by_hour AS
SELECT * EXCEPT (version)
FROM taximeter.outcomes_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE seq != 0 AND NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT *
FROM taximeter.outcomes_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

INSERT INTO taximeter.outcomes_hourly
SELECT of_rows.*, done.version
FROM taximeter.outcomes_of_rows AS of_rows
INNER JOIN (SELECT hour, max(version) AS version FROM taximeter.hours_done GROUP BY hour) AS done
    ON done.hour = of_rows.hour;
