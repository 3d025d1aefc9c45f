-- one row per day, provider, model and currency, as llm_model_daily
select
    usage.day,
    usage.bucket,
    usage.provider,
    usage.model,
    usage.currency,
    usage.request_count as requests,
    usage.success_count as successful_requests,
    usage.error_count as errors,
    usage.blocked_count as blocked_requests,
    usage.rate_limited_count as rate_limited_requests,
    usage.cost_amount as cost,
    case when usage.request_count > usage.success_count then usage.failed_cost_amount else 0 end as failed_cost,
    trim_scale(
        case when usage.request_count > usage.success_count then usage.failed_cost_amount else 0 end
        / nullif(usage.cost_amount, 0)
    ) as failed_cost_share,
    case
        when usage.unpriced_request_count = 0 then trim_scale(usage.cost_amount / nullif(usage.success_count, 0))
    end as cost_per_successful_request,
    usage.unpriced_request_count as unpriced_requests
from {{ ref('llm_model_daily') }} as usage
