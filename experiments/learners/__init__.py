"""Learners compared on equal terms: trials, the search for hyper-parameters, table and figure."""
