"""The commands of `neurosim`, one a file: `add_arguments(parser)` and `run(arguments)`.

A command returns what ``--json`` writes: flat snake_case keys.
"""
