-- The dearest thousand users of each day, and in `bound` what each other cost at most that day; once a
-- day also in `bound_once`, so that a sum of that is what a user cost at most who is on no list.
DROP TABLE IF EXISTS taximeter.dearest_users_daily SYNC;

CREATE TABLE IF NOT EXISTS taximeter.dearest_users_daily
(
    day        Date            CODEC(ZSTD(1)),
    user_id    String          CODEC(ZSTD(1)),
    cost       Decimal(38, 12) CODEC(GCD, ZSTD(1)),
    bound      Decimal(38, 12) CODEC(GCD, ZSTD(1)),
    bound_once Decimal(38, 12) CODEC(GCD, ZSTD(1)),
    version    UInt64          CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(day)
ORDER BY (day, user_id)
TTL day + INTERVAL 3 YEAR;

CREATE OR REPLACE VIEW taximeter.dearest_users_of_rows AS
SELECT
    day,
    user.2 AS user_id,
    -user.1 AS cost,
    if(length(ordered) > 1000, -ordered[1001].1, toDecimal128(0, 12)) AS bound,
    if(place = 1, bound, toDecimal128(0, 12)) AS bound_once
FROM
(
    SELECT day, groupArraySorted(1001)((-totals.cost, user_id)) AS ordered
    FROM taximeter.user_totals_of_rows AS totals
    GROUP BY day
)
ARRAY JOIN arraySlice(ordered, 1, 1000) AS user, arrayEnumerate(arraySlice(ordered, 1, 1000)) AS place;

CREATE OR REPLACE VIEW taximeter.dearest_users_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.dearest_users_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.user_days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_user_days), day)
    GROUP BY day
)
UNION ALL
SELECT day, user_id, cost, toDecimal128(0, 12) AS bound, toDecimal128(0, 12) AS bound_once
FROM taximeter.user_totals_of_rows
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_user_days)));

INSERT INTO taximeter.dearest_users_daily
SELECT
    day,
    user.2,
    -user.1,
    if(length(ordered) > 1000, -ordered[1001].1, toDecimal128(0, 12)) AS bound,
    if(place = 1, bound, toDecimal128(0, 12)),
    version
FROM
(
    SELECT day, version, groupArraySorted(1001)((-totals.cost, user_id)) AS ordered
    FROM taximeter.user_totals_daily AS totals
    WHERE (day, version) IN (
        SELECT day, max(version) FROM taximeter.user_days_done WHERE hours_version != 0 GROUP BY day
    )
    GROUP BY day, version
)
ARRAY JOIN arraySlice(ordered, 1, 1000) AS user, arrayEnumerate(arraySlice(ordered, 1, 1000)) AS place;
