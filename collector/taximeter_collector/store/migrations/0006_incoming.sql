-- Rates beside the spans that the engine decodes; filled and emptied with each segment.
CREATE TABLE IF NOT EXISTS taximeter.incoming_rates
(
    provider           String,
    server_address     String,
    request_model      String,
    model              String,
    service_tier       String,
    batch              Bool,
    day                Date,
    above              Int64,
    upto               Int64,
    most_output        Int64,
    rate_card          String,
    price_input        Decimal(18, 12),
    price_cached_input Decimal(18, 12),
    price_cache_write  Decimal(18, 12),
    price_output       Decimal(18, 12)
)
ENGINE = Memory;
