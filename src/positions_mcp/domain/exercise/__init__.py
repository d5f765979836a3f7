"""Exercise instructions: rows, rules, cut-offs, consequences."""
