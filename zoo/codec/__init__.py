"""Compression of samples: symbols of a task, coded by integer tables, in a stream with a header and a checksum.

rans         the entropy coder: symbols and their frequencies to bytes, and back
tables       the frequencies of a release: checked, and chosen by context
stream       the bytes of a stream: header, payload, checksum
compression  the codec of a release: symbols to a stream, and back
"""

from zoo.codec.compression import Coding
from zoo.codec.stream import SUFFIX
from zoo.codec.tables import Tables, context_rows, problem

__all__ = ["SUFFIX", "Coding", "Tables", "context_rows", "problem"]
