"""Tasks on which learners are compared: one a file, found by listing the folder."""
