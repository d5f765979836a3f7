"""Imported by the process that replicas of a test are forked from, before the first of them."""

from replicas.served import beforehand

beforehand()
