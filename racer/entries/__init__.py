"""Entries: the package that carries a policy, the checks on it, and the sandbox that runs it."""
