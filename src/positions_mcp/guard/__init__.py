"""The guard: plans, policy, human decisions, and the one place from which anything destructive is sent.

It knows no protocol and no HTTP: it works through `positions_mcp.ports`. Tools call `guard.Guard`; people at a
terminal or the desk work through `supervisor.Supervisor`; both are made of `dependencies.Dependencies`.
"""
