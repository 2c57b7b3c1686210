"""Entries: the package that carries a policy, its checks, and the sandbox that runs it."""
