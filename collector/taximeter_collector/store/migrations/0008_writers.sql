-- Any number of processes may write and refresh. Each writer has marks of its own; an hour is open
-- unless its newest refresh saw the marks that all of them have set. A refresh is noted when it
-- begins, with no mark seen, so that its rows replace those of a closed hour only while that is open.
-- A writer says until when its rows may still come; no refresh ends the hour before.
ALTER TABLE taximeter.dirty_hours
    ADD COLUMN IF NOT EXISTS writer String, MODIFY ORDER BY (hour, writer);

ALTER TABLE taximeter.dirty_hours ADD COLUMN IF NOT EXISTS settled_at DateTime64(3, 'UTC');

-- Sums of numbers may wrap around; they are compared for being another.
CREATE OR REPLACE VIEW taximeter.open_hours AS
SELECT marked.hour AS hour, marked.seq AS seq, marked.settled_at AS settled_at, done.version AS version
FROM (
    SELECT hour, sum(of_writer.seq) AS seq, max(of_writer.settled_at) AS settled_at
    FROM (
        SELECT hour, writer, max(seq) AS seq, max(settled_at) AS settled_at
        FROM taximeter.dirty_hours
        GROUP BY hour, writer
    ) AS of_writer
    GROUP BY hour
) AS marked
LEFT JOIN (
    SELECT hour, argMax(one.seq, one.version) AS seq, max(one.version) AS version
    FROM taximeter.hours_done AS one
    GROUP BY hour
) AS done ON done.hour = marked.hour
WHERE marked.seq != ifNull(done.seq, 0);

CREATE OR REPLACE VIEW taximeter.versions_of_days AS
SELECT toDate(of_hour.hour) AS day, sum(of_hour.version) AS hours_version
FROM (SELECT hour, max(version) AS version FROM taximeter.hours_done GROUP BY hour) AS of_hour
GROUP BY day;

CREATE OR REPLACE VIEW taximeter.stale_days AS
SELECT hours.day AS day, hours.hours_version AS hours_version, done.version AS version
FROM taximeter.versions_of_days AS hours
LEFT JOIN (
    SELECT day, argMax(one.hours_version, one.version) AS hours_version,
        max(one.version) AS version
    FROM taximeter.days_done AS one
    GROUP BY day
) AS done ON done.day = hours.day
WHERE hours.hours_version != ifNull(done.hours_version, 0);

CREATE OR REPLACE VIEW taximeter.stale_user_days AS
SELECT hours.day AS day, hours.hours_version AS hours_version, done.version AS version
FROM taximeter.versions_of_days AS hours
LEFT JOIN (
    SELECT day, argMax(one.hours_version, one.version) AS hours_version,
        max(one.version) AS version
    FROM taximeter.user_days_done AS one
    GROUP BY day
) AS done ON done.day = hours.day
WHERE hours.hours_version != ifNull(done.hours_version, 0);

-- Only what is noted as done counts, should a refresh begin while a query is under way.
CREATE OR REPLACE VIEW taximeter.spend_by_hour AS
SELECT * EXCEPT (version)
FROM taximeter.spend_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE seq != 0 AND NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT *
FROM taximeter.spend_of_rows
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

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

-- Closed days, the closed hours of the others, and the calls of open hours: as flat as can be, because
-- the engine plans a view within a view for longer than it reads them.
CREATE OR REPLACE VIEW taximeter.spend_by_day AS
SELECT
    day,
    environment, service, team, feature, provider, model, service_tier, operation, api_key_id, calls, errors,
    unpriced_calls, estimated_calls, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost, estimated_cost, cost_input, cost_cached_input, cost_cache_write, cost_output
FROM taximeter.spend_daily
WHERE (day, version) IN (
    SELECT day, max(version)
    FROM taximeter.days_done
    WHERE hours_version != 0 AND NOT has((SELECT groupArray(day) FROM taximeter.open_days), day)
    GROUP BY day
)
UNION ALL
SELECT
    toDate(hour) AS day,
    environment, service, team, feature, provider, model, service_tier, operation, api_key_id, calls, errors,
    unpriced_calls, estimated_calls, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost, estimated_cost, cost_input, cost_cached_input, cost_cache_write, cost_output
FROM taximeter.spend_hourly
WHERE (hour, version) IN (
    SELECT hour, max(version)
    FROM taximeter.hours_done
    WHERE seq != 0
        AND has((SELECT groupArray(day) FROM taximeter.open_days), toDate(hour))
        AND NOT has((SELECT groupArray(hour) FROM taximeter.open_hours), hour)
    GROUP BY hour
)
UNION ALL
SELECT
    toDate(hour) AS day,
    environment, service, team, feature, provider, model, service_tier, operation, api_key_id, calls, errors,
    unpriced_calls, estimated_calls, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost, estimated_cost, cost_input, cost_cached_input, cost_cache_write, cost_output
FROM taximeter.spend_of_calls
WHERE hour IN (SELECT arrayJoin((SELECT groupArray(hour) FROM taximeter.open_hours)));

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
