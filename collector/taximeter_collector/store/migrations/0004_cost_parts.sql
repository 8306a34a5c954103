-- The parts of a cost that is not of text alone, as they were priced; empty where the rates and the
-- counts of tokens say the same.
ALTER TABLE taximeter.calls ADD COLUMN IF NOT EXISTS
    cost_parts Map(LowCardinality(String), Decimal(18, 12)) CODEC(ZSTD(1)) AFTER cost_reason;

ALTER TABLE taximeter.calls MODIFY COLUMN
    cost_input Nullable(Decimal(18, 12)) ALIAS if(isNull(cost) OR isNotNull(price_input),
        (input_tokens - cached_input_tokens - cache_write_tokens) * price_input, cost_parts['input']);

ALTER TABLE taximeter.calls MODIFY COLUMN
    cost_cached_input Nullable(Decimal(18, 12)) ALIAS if(isNull(cost) OR isNotNull(price_input),
        cached_input_tokens * price_cached_input, cost_parts['cached_input']);

ALTER TABLE taximeter.calls MODIFY COLUMN
    cost_cache_write Nullable(Decimal(18, 12)) ALIAS if(isNull(cost) OR isNotNull(price_input),
        cache_write_tokens * price_cache_write, cost_parts['cache_write']);

ALTER TABLE taximeter.calls MODIFY COLUMN
    cost_output Nullable(Decimal(18, 12)) ALIAS if(isNull(cost) OR isNotNull(price_input),
        output_tokens * price_output, cost_parts['output']);
