"""The base layer, which knows no models: errors, files, progress, devices, numeric arguments, random numbers."""
