"""Exercise instructions: submitting a batch of them, and cancelling one."""
