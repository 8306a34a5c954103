-- Teams in the rollups that did not know them, and the models of users; what dashboards read the calls
-- for: calls without a timeout, the cost of failed ones, and the least requests left in the provider's
-- window. Hours whose calls are no longer kept stay as they are: of no team, and null in what they lack.
ALTER TABLE taximeter.latency_hourly
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) AFTER model,
    ADD COLUMN IF NOT EXISTS least_requests_left Nullable(UInt32) AFTER ttft,
    MODIFY ORDER BY (hour, environment, feature, model, team);

ALTER TABLE taximeter.latency_daily
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) AFTER model,
    ADD COLUMN IF NOT EXISTS least_requests_left Nullable(UInt32) AFTER ttft,
    MODIFY ORDER BY (day, environment, feature, model, team);

ALTER TABLE taximeter.outcomes_hourly
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) AFTER cost_reason,
    ADD COLUMN IF NOT EXISTS calls_without_timeout Nullable(UInt64) AFTER extra_attempts,
    ADD COLUMN IF NOT EXISTS cost Nullable(Decimal(38, 12)) AFTER calls_without_timeout,
    MODIFY ORDER BY (hour, environment, service, feature, model, http_status, error_type, usage_source,
        cost_status, cost_reason, team);

ALTER TABLE taximeter.users_daily
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) AFTER user_id,
    ADD COLUMN IF NOT EXISTS model LowCardinality(String) AFTER team,
    MODIFY ORDER BY (day, environment, feature, user_id, team, model);

ALTER TABLE taximeter.distinct_users_daily
    ADD COLUMN IF NOT EXISTS team LowCardinality(String) AFTER feature,
    MODIFY ORDER BY (day, environment, feature, team);

CREATE OR REPLACE VIEW taximeter.latency_of_rows AS
SELECT
    toStartOfHour(ts) AS hour, environment, feature, model, team,
    quantilesBFloat16State(0.5, 0.95, 0.99)(duration_ms) AS duration,
    quantilesBFloat16StateIf(0.5, 0.95, 0.99)(assumeNotNull(ttft_ms), isNotNull(ttft_ms)) AS ttft,
    min(remaining_requests) AS least_requests_left
FROM taximeter.calls FINAL
GROUP BY hour, environment, feature, model, team;

CREATE OR REPLACE VIEW taximeter.latency_by_hour AS
SELECT * EXCEPT (version)
FROM taximeter.latency_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE seq != 0 AND NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT *
FROM taximeter.latency_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

CREATE OR REPLACE VIEW taximeter.latency_of_hours AS
SELECT
    toDate(hour) AS day, environment, feature, model, team,
    quantilesBFloat16MergeState(0.5, 0.95, 0.99)(by_hour.duration) AS duration,
    quantilesBFloat16MergeState(0.5, 0.95, 0.99)(by_hour.ttft) AS ttft,
    min(by_hour.least_requests_left) AS least_requests_left
FROM taximeter.latency_by_hour AS by_hour
GROUP BY day, environment, feature, model, team;

CREATE OR REPLACE VIEW taximeter.latency_by_day AS
SELECT day, environment, feature, model, team, duration, ttft, least_requests_left
FROM taximeter.latency_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_days), day)
    GROUP BY day
)
UNION ALL
SELECT toDate(hour) AS day, environment, feature, model, team, duration, ttft, least_requests_left
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
SELECT toDate(hour) AS day, environment, feature, model, team, duration, ttft, least_requests_left
FROM taximeter.latency_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

CREATE OR REPLACE VIEW taximeter.outcomes_of_rows AS
SELECT
    toStartOfHour(ts) AS hour, environment, service, feature, model,
    ifNull(rows.http_status, 0) AS http_status,
    error_type,
    toLowCardinality(toString(rows.usage_source)) AS usage_source,
    toLowCardinality(toString(rows.cost_status)) AS cost_status,
    cost_reason, team,
    count() AS calls,
    countIf(tags_altered > 0) AS altered_calls,
    countIf(attempts > 1) AS retried_calls,
    sum(if(attempts > 1, toUInt64(toUInt64(assumeNotNull(attempts)) - 1), toUInt64(0))) AS extra_attempts,
    toNullable(countIf(timeout_set IS NULL OR NOT timeout_set)) AS calls_without_timeout,
    toNullable(sum(ifNull(rows.cost, toDecimal64(0, 12)))) AS cost
FROM taximeter.calls AS rows FINAL
GROUP BY hour, environment, service, feature, model, http_status, error_type, usage_source, cost_status,
    cost_reason, team;

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

CREATE OR REPLACE VIEW taximeter.users_of_rows AS
SELECT
    toDate(hour) AS day, environment, feature, user_id, team, model,
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
GROUP BY day, environment, feature, user_id, team, model;

CREATE OR REPLACE VIEW taximeter.users_by_day AS
SELECT * EXCEPT (version)
FROM taximeter.users_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.user_days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_user_days), day)
    GROUP BY day
)
UNION ALL
SELECT *
FROM taximeter.users_of_rows
WHERE day IN (SELECT arrayJoin((SELECT groupArray(day) FROM taximeter.open_user_days)));

CREATE OR REPLACE VIEW taximeter.distinct_users_of_rows AS
SELECT toDate(hour) AS day, environment, feature, team, uniqCombined64State(14)(user_id) AS users
FROM taximeter.spend_of_calls
WHERE user_id != ''
GROUP BY day, environment, feature, team;

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
