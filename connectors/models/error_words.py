"""The codes and texts by which the errors of APIs are classified.

Data only. A text decides only if there is no code, because servers word their errors
freely.
"""

import re

POLICY_CODES = frozenset(
    {
        "content_filter", "content_policy", "content_policy_violation", "policy_violation",
        "image_content_policy_violation", "responsible_ai_policy_violation",
        "responsibleaipolicyviolation", "content_moderation", "content_moderated",
        "moderation_blocked", "moderation", "moderation_error", "safety", "safety_error",
        "safety_violation", "safety_violations", "unsafe_content", "sexual_content",
        "invalid_prompt", "usage_policy_violation", "flagged", "content_blocked",
        "data_inspection_failed", "datainspectionfailed", "prohibited_content", "cyber_policy",
        "contentpolicyviolationerror",
    }
)  # fmt: skip
KEY_CODES = frozenset(
    {
        "invalid_api_key", "incorrect_api_key", "invalid_authentication", "authentication_error",
        "api_key_invalid", "unauthenticated",
    }
)  # fmt: skip
ACCOUNT_CODES = frozenset(
    {
        "billing_not_active", "billing_hard_limit_reached", "account_deactivated",
        "account_suspended", "organization_restricted", "permission_denied", "permission_error",
        "insufficient_permissions", "unsupported_country_region_territory", "access_terminated",
        "project_not_found", "organization_not_found", "ip_not_authorized", "access_denied",
        "payment_required", "insufficient_balance", "model_permission_denied", "arrearage",
    }
)  # fmt: skip
QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded", "budget_exceeded"}
)
RATE_CODES = frozenset(
    {
        "rate_limit_exceeded", "rate_limit_error", "rate_limited", "rate_limit", "ratelimitreached",
        "too_many_requests", "toomanyrequests", "throttling", "throttled", "throttlingexception",
        "throttling.ratequota", "throttling.allocationquota", "throttling.burstrate",
        "resource_exhausted", "requests_limit_exceeded", "tokens_limit_exceeded",
    }
)  # fmt: skip
SERVER_CODES = frozenset(
    {
        "overloaded_error", "overloaded", "engine_overloaded", "engine_overloaded_error",
        "server_error", "internal_error", "internal_server_error", "internalservererror",
        "service_unavailable", "service_unavailable_error", "serviceunavailable",
        "unavailable_error", "unavailable",
    }
)  # fmt: skip
REQUEST_CODES = frozenset(
    {
        "operationnotsupported", "unsupportedapiversion", "unsupported_api_version",
        "invalid_api_version", "invalidapiversionparameter",
    }
)  # fmt: skip
NOT_SERVED_CODES = frozenset(
    {
        "model_not_found", "model_decommissioned", "model_deprecated", "model_retired",
        "model_not_available", "model_unavailable", "model_terms_required", "invalid_model",
        "model_not_supported", "model_blocked", "modelnotfound", "deploymentnotfound",
        "deployment_not_found", "unknown_model", "model_access_denied",
    }
)  # fmt: skip
NOT_SERVED = re.compile(
    r"\bmodel\b.{0,120}?(?:not (?:be )?(?:found|exist|available|loaded|installed|downloaded|served)"
    r"|(?:does|do|did)(?:n['’]t| not) exist|no longer|decommissioned|deprecated|retired|shut ?down"
    r"|has been removed|unknown|not have access)"
    r"|(?:no such|unknown|invalid|not have access to|no access to)(?: the)? model\b|try pulling it"
    r"|not a valid model\b|\bmodel identifier is invalid|\bno models? (?:is |are )?loaded"
    r"|\bmodels/\S+ is not found|\A\s*model: \S+\s*\Z|on-demand throughput",
    re.IGNORECASE | re.DOTALL,
)
CANNOT_SEE = re.compile(
    r"mmproj|image input is not supported|(?:image|images|vision|image_url|multimodal)\b.{0,60}?"
    r"(?:not|n['’]t) (?:be )?support(?:ed)?(?: by| with| for| on)(?: this| the)? model"
    r"|(?:not|n['’]t) (?:a multimodal|support(?: the)? (?:image|vision|multimodal))"
    r"|image_url is only supported by certain models|at most 0 image"
    r"|unknown variant .?(?:image|input_image)|content must be a string"
    r"|missing data required for image|endpoints found that support image",
    re.IGNORECASE | re.DOTALL,
)
POLICY = re.compile(
    r"\bsafety system|safety_check|content[ _]?policy[ _]?violation|content management policy"
    r"|content filter(?:ing)? policy"
    r"|(?:flagged|blocked|rejected) (?:as .{1,20} )?by .{0,30}?moderation"
    r"|(?:violat|flagged|against)\w*.{0,60}?\b(?:usage|content|safety|acceptable use|use) "
    r"(?:polic(?:y|ies)|guidelines)|\b(?:inappropriate|prohibited) content\b|敏感内容|不安全",
    re.IGNORECASE | re.DOTALL,
)
KEY = re.compile(
    r"\bapi[ _-]?key (?:is )?(?:not valid|invalid|expired|missing)"
    r"|\b(?:incorrect|invalid|missing|expired|no) api[ _-]?key\b"
    r"|\b(?:missing|invalid)\b.{0,20}\bauthorization header",
    re.IGNORECASE,
)
ACCOUNT = re.compile(
    r"\b(?:account|organization|team|project|access|user)\b.{0,20}?"
    r"\b(?:not active|inactive|suspended|deactivated|disabled|restricted|banned|terminated)\b"
    r"|\bbilling details\b|\bcredit balance\b|\b(?:any|insufficient|enough|purchase) credits\b"
    r"|\binsufficient (?:balance|funds)\b|\bavailable credits\b|\bspending limit\b"
    r"|\bin good standing\b|\brequires billing\b"
    r"|\b(?:location|country|region|territory)\b.{0,30}\bnot supported\b",
    re.IGNORECASE,
)
QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|\bout of call volume quota|\bover budget\b"
    r"|exceededbudget|budget has been exceeded",
    re.IGNORECASE,
)
RATE = re.compile(
    r"\brate[ _]?limit|\btoo many requests\b|\bper (?:minute|hour|day) \(|\bthrottl(?:ed|ing)\b",
    re.IGNORECASE,
)
LATER = re.compile(
    r"\boverloaded\b|\btry again (?:later|in \d)|\bretry (?:after|in) \d|temporarily unavailable"
    r"|\bserver is busy\b|\bat capacity\b|\bmodel has crashed\b"
    r"|\bmodel is (?:still |currently )?loading\b|no healthy deployments?"
    r"|failed to load (?:the )?model|\brequires more system memory\b|insufficient system resources",
    re.IGNORECASE,
)
TIMED_OUT = re.compile(r"\btime[ -]?out\b|\btimed out\b", re.IGNORECASE)
CANNOT_HEAR = re.compile(r"\baudio input is not supported\b", re.IGNORECASE)
REQUEST = re.compile(
    r"\bsupport (?:the )?(?:transcriptions?|translations?|chat) ?(?:api|completions?)\b"
    r"|\bapi version\b|\bdoes not work with the specified model\b|provide a model parameter"
    r"|parse the json body|\bhttps port\b|\bparameter\.\w"
    r"|\A\s*<(?:!doctype|html)",
    re.IGNORECASE,
)
"""Errors of the route, the form or a setting.

An HTML page comes from a proxy in front of the model.
"""
