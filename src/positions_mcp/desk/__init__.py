"""The supervisor's page: where a person sees what waits, decides it, and stops everything.

`app.desk_app` is a Starlette application. Its pages hold no data: everything comes from `/api`, which answers only a
signed-in tab. Nothing is decided here that `guard.supervisor` does not decide.
"""
