-- How many calls without a price are missing from what was metered of a line or day of the bill.
ALTER TABLE taximeter.reconciliations
    MODIFY COLUMN lines Array(Tuple(project String, key String, item String, billed Decimal(38, 12), metered Decimal(38, 12),
                                    unpriced_calls UInt64)),
    MODIFY COLUMN days Array(Tuple(day Date, billed Decimal(38, 12), metered Decimal(38, 12), is_final Bool,
                                   unpriced_calls UInt64));
