"""The ground floor: contracts, codes, random streams, storage, recording and drawing."""

__version__ = "0.1.0"
