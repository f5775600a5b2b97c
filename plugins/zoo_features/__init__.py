"""Classifiers whose features measure what other models generate."""
