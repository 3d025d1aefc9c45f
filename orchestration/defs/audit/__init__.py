"""The audit trail: sealed every ten seconds, signed each hour, verified each night."""
