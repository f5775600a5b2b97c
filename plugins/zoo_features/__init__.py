"""Classifiers whose features the metrics of generated images (FID, KID, precision, recall) use."""
