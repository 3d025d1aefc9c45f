"""The fixed facts of the demo organisation: its tree of teams, who uses what there, services, policies and roles."""

from typing import Any

from orchestration.lib.demo.catalogue import NIGHT_HOURS, OFFICE_HOURS, SERVICE_HOURS

DOMAIN = "northwind.example"
UNPRICED_MODEL = "gemini-exp-preview"
# mean requests a weekday of one person, and of the services for one person
HUMAN_REQUESTS, SERVICE_REQUESTS = 6.0, 5.5

# slug, name, parent, site, kind of work, share of the people, currency of its budget, period (None = no budget)
TEAMS: tuple[tuple[str, str, str | None, str, str, int, str, str | None], ...] = (
    ("engineering", "Engineering", None, "berlin", "engineering", 1, "USD", "quarter"),
    ("customer-operations", "Customer Operations", None, "new-york", "support", 1, "USD", "quarter"),
    ("commercial", "Commercial", None, "new-york", "business", 1, "USD", "quarter"),
    ("corporate", "Corporate", None, "berlin", "business", 1, "USD", "year"),
    ("research", "Research", None, "berlin", "research", 1, "USD", "month"),
    ("platform", "Platform", "engineering", "berlin", "engineering", 4, "USD", "month"),
    ("product-emea", "Product EMEA", "engineering", "berlin", "european", 4, "EUR", "month"),
    ("product-americas", "Product Americas", "engineering", "new-york", "engineering", 6, "USD", "month"),
    ("support-emea", "Support EMEA", "customer-operations", "berlin", "european", 5, "USD", "month"),
    ("support-americas", "Support Americas", "customer-operations", "new-york", "support", 6, "USD", "month"),
    ("support-apac", "Support APAC", "customer-operations", "singapore", "support", 4, "USD", "month"),
    ("sales", "Sales", "commercial", "new-york", "business", 5, "USD", "month"),
    ("marketing", "Marketing", "commercial", "new-york", "business", 4, "USD", "month"),
    ("finance", "Finance", "corporate", "berlin", "business", 3, "USD", "month"),
    ("legal", "Legal", "corporate", "berlin", "business", 2, "USD", "month"),
    ("security", "Security", "corporate", "new-york", "engineering", 2, "USD", "month"),
    ("applied-ai", "Applied AI", "research", "berlin", "research", 5, "USD", "month"),
    ("platform-infrastructure", "Infrastructure", "platform", "berlin", "engineering", 4, "USD", None),
    ("platform-analytics", "Analytics", "platform", "new-york", "research", 3, "USD", "month"),
    ("payments", "Payments", "product-emea", "berlin", "engineering", 4, "USD", None),
    ("mobile", "Mobile", "product-emea", "berlin", "engineering", 4, "USD", None),
    ("localisation", "Localisation", "support-emea", "berlin", "european", 2, "EUR", None),
    ("marketing-analytics", "Analytics", "marketing", "new-york", "research", 3, "USD", "month"),
    ("growth-experiments", "Growth Experiments", "marketing", "new-york", "business", 3, "USD", "month"),
    ("evaluation", "Evaluation", "applied-ai", "singapore", "research", 3, "USD", "day"),
)
DISSOLVED_TEAM, ITS_HEIR = "growth-experiments", "marketing"

# what people of a kind of work call, the most used first, and with what
MODELS_OF_KIND: dict[str, tuple[str, ...]] = {
    "engineering": ("claude-sonnet-4", "gpt-4o", "o4-mini", "gemini-2.5-pro", "gpt-4o-mini"),
    "support": ("gpt-4o-mini", "claude-3-5-haiku", "gemini-2.5-flash"),
    "business": ("gpt-4o", "gpt-4o-mini", "gemini-2.5-flash", "claude-sonnet-4"),
    "research": ("claude-opus-4", "gemini-2.5-pro", "o4-mini", "claude-sonnet-4", UNPRICED_MODEL),
    "european": ("mistral-large", "mistral-small", "gpt-4o-mini"),
}
APPLICATIONS_OF_KIND: dict[str, tuple[tuple[str, float], ...]] = {
    "engineering": (("ide-assistant", 0.75), ("chat-portal", 0.25)),
    "support": (("chat-portal", 1.0),),
    "business": (("chat-portal", 1.0),),
    "research": (("notebooks", 0.6), ("ide-assistant", 0.2), ("chat-portal", 0.2)),
    "european": (("chat-portal", 0.6), ("ide-assistant", 0.4)),
}

# name of the key, application, team, share of the requests of all services, hours, models
SERVICES: tuple[tuple[str, str, str, int, tuple[float, ...], tuple[tuple[str, float], ...]], ...] = (
    ("support-bot-americas", "support-bot", "support-americas", 20, SERVICE_HOURS, (("gpt-4o-mini", 9), ("gpt-4o", 1))),
    (
        "support-bot-emea",
        "support-bot",
        "support-emea",
        14,
        SERVICE_HOURS,
        (("mistral-small", 4), ("mistral-large", 1)),
    ),
    ("support-bot-apac", "support-bot", "support-apac", 8, SERVICE_HOURS, (("gemini-2.5-flash", 1),)),
    ("contract-reader", "document-pipeline", "legal", 5, SERVICE_HOURS, (("claude-sonnet-4", 1),)),
    ("invoice-reader", "document-pipeline", "finance", 7, SERVICE_HOURS, (("gemini-2.5-flash", 3), ("gpt-4o", 1))),
    ("search-index", "search-index", "platform-infrastructure", 14, SERVICE_HOURS, (("text-embedding-3-small", 1),)),
    ("call-notes", "call-notes", "support-americas", 4, OFFICE_HOURS, (("gpt-4o-audio-preview", 1),)),
    ("code-review-bot", "code-review-bot", "platform", 9, OFFICE_HOURS, (("claude-sonnet-4", 3), ("o4-mini", 1))),
    ("nightly-summaries", "nightly-summaries", "marketing-analytics", 5, NIGHT_HOURS, (("gpt-4o", 1),)),
    ("lead-scoring", "lead-scoring", "sales", 8, SERVICE_HOURS, (("claude-3-5-haiku", 1),)),
    ("translation", "translation", "localisation", 6, SERVICE_HOURS, (("mistral-large", 1),)),
    ("evals", "evaluation-harness", "evaluation", 5, NIGHT_HOURS, (("gemini-2.5-pro", 2), (UNPRICED_MODEL, 1))),
)

# slug, name, description, type, [(rules, enforcement) of each version], priority, teams, state
POLICIES: tuple[tuple[str, str, str, str, tuple[tuple[dict[str, Any], str], ...], int, tuple[str, ...], str], ...] = (
    (
        "customer-data-guard",
        "Customer data guard",
        "Keeps customers' personal data out of prompts.",
        "content_filter",
        (
            ({"detect": ["email"], "action": "flag"}, "warn"),
            ({"detect": ["email", "phone", "credit_card"], "action": "block"}, "block"),
        ),
        20,
        ("customer-operations", "commercial"),
        "active",
    ),
    (
        "approved-models",
        "Approved models",
        "Engineering and the corporate functions use the models that procurement has cleared.",
        "model_allowlist",
        (
            ({"models": ["openai/*"]}, "log"),
            ({"models": ["openai/*", "anthropic/*"]}, "warn"),
            ({"models": ["openai/*", "anthropic/*", "google/gemini-2.5-*", "mistral/*"]}, "block"),
        ),
        30,
        ("engineering", "corporate"),
        "active",
    ),
    (
        "frontier-spend",
        "Frontier model spend",
        "Caps what research spends on the largest models.",
        "cost_limit",
        (({"daily": "150.00", "monthly": "3000.00", "currency": "USD"}, "block"),),
        40,
        ("research",),
        "active",
    ),
    (
        "interactive-rate",
        "Interactive rate",
        "Keeps bots from starving people at their desks.",
        "rate_limit",
        (({"requests_per_minute": 60, "tokens_per_minute": 100000}, "block"),),
        50,
        ("platform", "support-americas", "sales"),
        "active",
    ),
    (
        "eu-residency",
        "EU residency",
        "Requests of European teams stay in European regions.",
        "data_residency",
        (({"regions": ["eu-*"]}, "block"),),
        10,
        ("product-emea", "support-emea"),
        "active",
    ),
    (
        "privileged-access",
        "Privileged access",
        "Second factor and short sessions where the keys to the house are.",
        "security",
        (({"require_mfa": True, "max_session_hours": 12, "max_key_age_days": 90}, "warn"),),
        60,
        ("security", "finance", "platform-infrastructure"),
        "active",
    ),
    (
        "legacy-word-filter",
        "Legacy word filter",
        "The first content filter, replaced by the customer data guard.",
        "content_filter",
        (({"detect": ["email"], "action": "flag"}, "log"),),
        90,
        ("support-americas",),
        "retired",
    ),
    (
        "weekend-budget",
        "Weekend budget",
        "A draft under discussion.",
        "cost_limit",
        (({"daily": "25.00", "monthly": "200.00", "currency": "USD"}, "block"),),
        80,
        (),
        "draft",
    ),
)

# of the policies every warehouse starts with, those that the demo puts on the root team
DEFAULT_POLICIES_IN_USE = ("default-cost-limit", "pii-detection")

ROLES: tuple[tuple[str, str, str, str | None, dict[str, list[str]]], ...] = (
    (
        "prompt-engineer",
        "Prompt Engineer",
        "A developer who also tunes policies.",
        "developer",
        {"policies": ["update"], "experiments": ["read", "create", "update"]},
    ),
    (
        "policy-steward",
        "Policy Steward",
        "Writes policies, and retires those that have served their time.",
        "prompt-engineer",
        {"policies": ["create", "delete"]},
    ),
    (
        "head-of-ai-governance",
        "Head of AI Governance",
        "A policy steward who also decides what comes into force.",
        "policy-steward",
        {"policies": ["publish", "assign"], "audit_logs": ["read"]},
    ),
    (
        "cost-analyst",
        "Cost Analyst",
        "Reads spend and exports it.",
        "viewer",
        {"costs": ["read"], "reports": ["export"]},
    ),
    (
        "budget-owner",
        "Budget Owner",
        "A cost analyst who may move budgets.",
        "cost-analyst",
        {"budgets": ["read", "update"], "teams": ["update"]},
    ),
    (
        "external-auditor",
        "External Auditor",
        "Reads the trail, nothing else.",
        None,
        {"audit_logs": ["read", "export"]},
    ),
)

# fmt: off
FIRST_NAMES = (
    "Ada", "Amara", "Anders", "Anouk", "Arjun", "Astrid", "Ayumi", "Bela", "Bruno", "Camila", "Chen", "Clara",
    "Dario", "Dilek", "Elif", "Emeka", "Enzo", "Esther", "Farid", "Fatima", "Finn", "Freya", "Gabriel", "Greta",
    "Hana", "Hugo", "Ines", "Ingrid", "Isaac", "Ivana", "Jamal", "Jana", "Jonas", "Joon", "Kaya", "Keiko", "Khalid",
    "Lars", "Leila", "Linh", "Lucia", "Malik", "Mara", "Mateo", "Mei", "Milan", "Mina", "Nadia", "Naveen", "Nia",
    "Noah", "Nora", "Oksana", "Omar", "Oskar", "Paloma", "Pavel", "Petra", "Priya", "Quentin", "Rahel", "Ravi",
    "Rosa", "Ruben", "Salma", "Samir", "Sanna", "Selin", "Simon", "Sofia", "Stefan", "Tamar", "Tariq", "Theo",
    "Tomas", "Uma", "Viktor", "Wanjiru", "Wei", "Yara", "Yusuf", "Zeynep", "Zoe",
)
LAST_NAMES = (
    "Abebe", "Adeyemi", "Almeida", "Andersen", "Aydin", "Bauer", "Becker", "Bergman", "Castillo", "Chaudhry",
    "Chen", "Costa", "Dubois", "Eriksen", "Farkas", "Fernandez", "Fischer", "Fontaine", "Garcia", "Grant", "Gupta",
    "Haddad", "Hansen", "Hoffmann", "Horvat", "Huang", "Ibrahim", "Iyer", "Jansen", "Jensen", "Kaminski", "Keller",
    "Khan", "Kim", "Kovacs", "Kowalski", "Larsen", "Laurent", "Lindgren", "Lopez", "Marchetti", "Martins", "Mbeki",
    "Meyer", "Mensah", "Moreau", "Murphy", "Nakamura", "Navarro", "Nguyen", "Novak", "Nowak", "Okafor", "Olsen",
    "Osei", "Pereira", "Petrov", "Popescu", "Quist", "Rao", "Reyes", "Rossi", "Sato", "Schneider", "Shah", "Silva",
    "Singh", "Sorensen", "Suzuki", "Tanaka", "Toth", "Vargas", "Virtanen", "Wagner", "Walsh", "Weber", "Yilmaz",
    "Zhang",
)
# fmt: on
