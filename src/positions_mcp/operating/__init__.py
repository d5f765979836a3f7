"""What an operator of several replicas needs of each: is it well, may it be asked, how it ends, who asks too much.

All of it is for HTTP; ASGI applications around another. Nothing here knows of positions or operations.
"""
