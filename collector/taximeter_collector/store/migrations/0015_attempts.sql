-- A difference is signed to the engine: beside the rollup's column it could not be summed.
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
    sum(if(attempts > 1, toUInt64(toUInt64(assumeNotNull(attempts)) - 1), toUInt64(0))) AS extra_attempts
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
