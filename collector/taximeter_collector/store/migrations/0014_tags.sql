-- With the tags, which no rollup has.
CREATE OR REPLACE VIEW taximeter.spend_of_calls AS
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
    ifNull(rows.cost_output, toDecimal64(0, 12)) AS cost_output,
    tags
FROM taximeter.calls AS rows FINAL;
