CREATE TABLE IF NOT EXISTS taximeter.latency_daily
(
    day         Date   CODEC(Delta(2), ZSTD(1)),
    environment LowCardinality(String),
    feature     LowCardinality(String),
    model       LowCardinality(String),
    duration    AggregateFunction(quantilesBFloat16(0.5, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    ttft        AggregateFunction(quantilesBFloat16(0.5, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    version     UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (day, environment, feature, model)
TTL day + INTERVAL 3 YEAR;

CREATE OR REPLACE VIEW taximeter.latency_of_hours AS
SELECT
    toDate(hour) AS day, environment, feature, model,
    quantilesBFloat16MergeState(0.5, 0.95, 0.99)(by_hour.duration) AS duration,
    quantilesBFloat16MergeState(0.5, 0.95, 0.99)(by_hour.ttft) AS ttft
FROM taximeter.latency_by_hour AS by_hour
GROUP BY day, environment, feature, model;

-- Flat, as spend_by_day is.
CREATE OR REPLACE VIEW taximeter.latency_by_day AS
SELECT day, environment, feature, model, duration, ttft
FROM taximeter.latency_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_days), day)
    GROUP BY day
)
UNION ALL
SELECT toDate(hour) AS day, environment, feature, model, duration, ttft
FROM taximeter.latency_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE seq != 0
        AND has((SELECT groupArray(day) FROM taximeter.open_days), toDate(hour))
        AND NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT toDate(hour) AS day, environment, feature, model, duration, ttft
FROM taximeter.latency_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

INSERT INTO taximeter.latency_daily
SELECT of_hours.*, done.version
FROM taximeter.latency_of_hours AS of_hours
INNER JOIN (
    SELECT day, max(version) AS version FROM taximeter.days_done WHERE hours_version != 0 GROUP BY day
) AS done ON done.day = of_hours.day;
