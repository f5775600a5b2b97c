"""The code of ``zoo demo`` and ``zoo doctor``."""
