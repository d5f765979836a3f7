"""The official SDK's releases as they are on PyPI, each in a folder of its own."""
