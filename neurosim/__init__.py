"""The ground floor: contracts, codes, random streams, storage, recording and drawing."""

from pathlib import Path as _Path

from neurosim import kernel_cache as _kernel_cache

__version__ = "0.1.0"

_kernel_cache.ensure(_Path(__file__).parent)  # Before the first kernel is declared.
