"""Benchmarks: the simulator's speed beside its peers, and policies from several seeds.

`racer bench` measures the speed, `racer benchmark` trains and races the policies.
"""
