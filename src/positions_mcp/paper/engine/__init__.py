"""What happens on the paper exchange, as pure functions of a ledger, the market and an instant; no clock, no file, no HTTP."""
