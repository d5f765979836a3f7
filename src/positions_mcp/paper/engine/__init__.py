"""What happens on the paper exchange, as functions of a ledger, the market and an instant: no clock, file or HTTP."""
