"""Files of what the warehouse knows, in formats that others read."""
