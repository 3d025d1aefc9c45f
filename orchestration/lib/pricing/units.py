"""What a price can be for, and the columns of a price list."""

from orchestration.lib.usage.record import TOKEN_CLASSES

# counted by what a source puts into metadata.units, but a request, which is one
OTHER_UNITS = ("requests", "images", "seconds", "hours", "searches", "characters", "pages")
# tokens that are counted in a class and have a price of their own; metadata.units says how many of it they are
PART_UNITS = ("cache_write_1h_tokens", "cache_read_audio_tokens")
UNITS = (*TOKEN_CLASSES, *OTHER_UNITS, *PART_UNITS)
SERVICE_TIERS = ("standard", "batch", "flex", "priority")
DATE_BASES = ("known", "assumed", "decided")
# a line of a price list: what it is for, from when to when, then a price per million of each unit
PRICE_COLUMNS = (
    "price_list",
    "provider",
    "model",
    "service_tier",
    "context_above",
    "region",
    "currency",
    "valid_from",
    "valid_to",
    "date_basis",
    *UNITS,
    "origin",
)
