-- The upper end of a forecast's range: USD at the period's end.
ALTER TABLE taximeter.budget_lines
    ADD COLUMN IF NOT EXISTS forecast_high Nullable(Decimal(38, 12));
