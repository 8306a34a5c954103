-- Latencies to the nearest of 32 steps in each doubling, at most 1.6 % off: a state has a quarter of
-- the values, and 90 days of them are read in a quarter of the time. Finer states of before merge
-- with these.
CREATE OR REPLACE VIEW taximeter.latency_of_rows AS
SELECT
    toStartOfHour(ts) AS hour, environment, feature, model, team,
    quantilesBFloat16State(0.5, 0.95, 0.99)(
        toUInt32(reinterpretAsFloat32(bitAnd(
            reinterpretAsUInt32(toFloat32(least(duration_ms, 4000000000))) + toUInt32(0x20000), 0xFFFC0000)))
    ) AS duration,
    quantilesBFloat16StateIf(0.5, 0.95, 0.99)(
        toUInt32(reinterpretAsFloat32(bitAnd(
            reinterpretAsUInt32(toFloat32(least(assumeNotNull(ttft_ms), 4000000000))) + toUInt32(0x20000), 0xFFFC0000))),
        isNotNull(ttft_ms)
    ) AS ttft,
    min(remaining_requests) AS least_requests_left
FROM taximeter.calls FINAL
GROUP BY hour, environment, feature, model, team;
