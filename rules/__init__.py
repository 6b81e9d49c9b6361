"""Synaptic rules: what one synapse does with what it can know. One rule a file."""
