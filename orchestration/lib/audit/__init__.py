"""The audit trail: sealed in the database, signed outside of it, and verified offline."""
