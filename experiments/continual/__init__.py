"""Continual learners, one method a file: the baselines and ours, found by listing this folder."""
