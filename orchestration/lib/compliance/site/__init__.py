"""Pages to look at each day: static, from the views and in the manner of the report."""
