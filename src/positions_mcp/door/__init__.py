"""The door for callers who sign in elsewhere: an OAuth resource server by the MCP authorisation rules, and no more.

    app         the ASGI application around the server's own: who comes in, and for what
    tokens      whether a token is good, for this server, now
    keys        the issuer's public keys, through rotation and outage
    issuer      where those keys are, and reading them
    scopes      which scopes a request needs, by its body
    answers     a person's answer in a session, by the rights of the call that asks
    rights      which accounts a token's claims give
    challenges  what a client is told that may not come in, and where it signs in
    streams     what ends when its token does
    proxies     whom to believe about where a request comes from

Nobody is signed in here and no token is passed on. Approving is no scope: a person does it elsewhere.
"""
