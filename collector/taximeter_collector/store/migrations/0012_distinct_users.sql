-- How many users there were, in states that add up over days and features; to about 1 %. '' is nobody.
CREATE TABLE IF NOT EXISTS taximeter.distinct_users_daily
(
    day         Date   CODEC(Delta(2), ZSTD(1)),
    environment LowCardinality(String),
    feature     LowCardinality(String),
    users       AggregateFunction(uniqCombined64(14), String) CODEC(ZSTD(1)),
    version     UInt64 CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (day, environment, feature)
TTL day + INTERVAL 3 YEAR;

CREATE OR REPLACE VIEW taximeter.distinct_users_of_rows AS
SELECT toDate(hour) AS day, environment, feature, uniqCombined64State(14)(user_id) AS users
FROM taximeter.spend_of_calls
WHERE user_id != ''
GROUP BY day, environment, feature;

CREATE OR REPLACE VIEW taximeter.distinct_users_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.distinct_users_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.user_days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_user_days), day)
    GROUP BY day
)
UNION ALL
SELECT *
FROM taximeter.distinct_users_of_rows
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_user_days)));

INSERT INTO taximeter.distinct_users_daily
SELECT of_rows.*, done.version
FROM taximeter.distinct_users_of_rows AS of_rows
INNER JOIN (
    SELECT day, max(version) AS version FROM taximeter.user_days_done WHERE hours_version != 0 GROUP BY day
) AS done ON done.day = of_rows.day;
