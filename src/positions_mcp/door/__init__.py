"""The door for callers who sign in elsewhere: an OAuth resource server by the MCP authorisation rules, and no more.

Nobody is signed in here and no token is passed on. Approving is no scope: a person does it elsewhere.
"""
