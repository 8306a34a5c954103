-- Spend in the columns of FOCUS 1.2: https://focus.finops.org/focus-specification/v1-2/
-- A call of text alone has rates, every other one the parts of its cost as they were priced; both
-- sum to the cost. What the row of an older program lacks is left over as `other`.
with
    cached_input_tokens - meters['cached_audio_input_tokens'] - meters['cached_image_input_tokens'] as cached,
    if(
        isNotNull(price_input),
        mapFilter((_, usd) -> usd != 0, map(
            'input', assumeNotNull(cost_input), 'cached_input', assumeNotNull(cost_cached_input),
            'cache_write', assumeNotNull(cost_cache_write), 'output', assumeNotNull(cost_output))),
        cost_parts
    ) as parts,
    assumeNotNull(cost) - arraySum(mapValues(parts)) as rest,
    arrayConcat(
        arrayZip(mapKeys(parts), mapValues(parts)),
        if(rest != 0, [('other', rest)], [])
    ) as bill,
    tupleElement(line, 1) as part,
    multiIf(
        part = 'input', toDecimal64(input_tokens - cached_input_tokens - cache_write_tokens, 6)
            - audio_input_tokens + meters['cached_audio_input_tokens']
            - image_input_tokens + meters['cached_image_input_tokens'],
        part = 'cached_input', toDecimal64(cached, 6),
        part = 'cache_write', toDecimal64(cache_write_tokens - meters['cache_write_12h_tokens'], 6),
        part = 'cache_write_12h', meters['cache_write_12h_tokens'],
        part = 'audio_input', toDecimal64(audio_input_tokens - meters['cached_audio_input_tokens'], 6),
        part = 'cached_audio_input', meters['cached_audio_input_tokens'],
        part = 'image_input', toDecimal64(image_input_tokens - meters['cached_image_input_tokens'], 6),
        part = 'cached_image_input', meters['cached_image_input_tokens'],
        part = 'output', toDecimal64(output_tokens - audio_output_tokens - image_output_tokens, 6),
        part = 'audio_output', toDecimal64(audio_output_tokens, 6),
        part = 'image_output', toDecimal64(image_output_tokens, 6),
        part = 'other', toDecimal64(1, 6),
        arraySum(mapValues(mapFilter((meter, _) -> splitByChar('.', meter)[1] = part, meters)))
    ) as quantity,
    multiIf(
        part in ('characters', 'images', 'seconds', 'web_searches', 'file_searches', 'container_sessions'),
        initcap(replaceAll(part, '_', ' ')),
        part = 'other', 'Calls',
        'Tokens'
    ) as unit,
    if(batch, 'batch', service_tier) as tier,
    multiIf(provider = 'openai', 'OpenAI', provider = 'azure.ai.openai', 'Microsoft', provider) as seller
select
    toDecimal128(sum(tupleElement(line, 2)), 12) as BilledCost,
    if(organization = '', provider, organization) as BillingAccountId,
    cast(null as Nullable(String)) as BillingAccountName,
    'USD' as BillingCurrency,
    toDateTime(toStartOfMonth(toDate(ts)) + interval 1 month, 'UTC') as BillingPeriodEnd,
    toDateTime(toStartOfMonth(toDate(ts)), 'UTC') as BillingPeriodStart,
    'Usage' as ChargeCategory,
    cast(null as Nullable(String)) as ChargeClass,
    concat(model, ' ', replaceAll(part, '_', ' '), if(tier = '', '', concat(', ', tier))) as ChargeDescription,
    'Usage-Based' as ChargeFrequency,
    toDateTime(toDate(ts) + 1, 'UTC') as ChargePeriodEnd,
    toDateTime(toDate(ts), 'UTC') as ChargePeriodStart,
    sum(quantity) as ConsumedQuantity,
    unit as ConsumedUnit,
    BilledCost as ContractedCost,
    BilledCost as EffectiveCost,
    cast(null as Nullable(String)) as InvoiceId,
    seller as InvoiceIssuerName,
    BilledCost as ListCost,
    'Standard' as PricingCategory,
    ConsumedQuantity as PricingQuantity,
    unit as PricingUnit,
    seller as ProviderName,
    if(provider = 'azure.ai.openai', 'OpenAI', seller) as PublisherName,
    'AI and Machine Learning' as ServiceCategory,
    if(provider = 'azure.ai.openai', 'Azure OpenAI', concat(seller, ' API')) as ServiceName,
    'Generative AI' as ServiceSubcategory,
    concat(model, '/', part) as SkuId,
    part as SkuMeter,
    concat(rate_card, '/', part) as SkuPriceId,
    nullIf(project, '') as SubAccountId,
    SubAccountId as SubAccountName,
    toJSONString(mapFilter((_, value) -> value != '', map(
        'environment', toString(environment), 'feature', toString(feature), 'service', toString(service),
        'team', toString(team)))) as Tags,
    cost_status as x_CostStatus,
    model as x_Model,
    tier as x_ServiceTier
from taximeter.calls final
array join bill as line
where __CONDITION__
    and isNotNull(cost)
group by
    toDate(ts), provider, organization, project, model, tier, part, unit, rate_card, environment,
    service, team, feature, cost_status
order by ChargePeriodStart, SkuId, Tags, SkuPriceId, x_CostStatus
