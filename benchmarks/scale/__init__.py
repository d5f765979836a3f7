"""What stays flat as books, stores and callers grow: issue by issue, beside the least that it can cost."""
