"""The compliance report, made when its period is over."""
