"""What an operator of several replicas needs of each: is it well, may it be asked, how it ends, who asks too much.

    readiness `/healthz` and `/readyz`, and why a replica should not be asked now
    drain     from the signal to the end: nothing new, and nothing under way is cut
    limits    requests of one caller, at once and in a minute
    requests  an id for each request, and a line in the log
    logs      how everything is logged: text for a person, or JSON, one line an event

All of it is for HTTP; ASGI applications around another. Nothing here knows of positions or operations.
"""
