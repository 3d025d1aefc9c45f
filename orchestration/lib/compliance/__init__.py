"""The compliance report: a folder of evidence about a period, which anybody can check."""
