"""Benchmarks: `neurosim bench NAME` finds them by listing this folder.

A benchmark is a module with a frozen `Config`, `run(config, tick) -> dict` of flat numbers and
`table(values) -> str` in Markdown.
"""
