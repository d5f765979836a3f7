"""What stands beside the positions operations: accounts, balances, instruments, prices, hours and executions.

They are read before a close, from the same book, in the shapes of the official SDK. One writes: cancelling an order.
"""
