"""A human decision: who may decide, what is asked, how a decision is signed and checked."""
