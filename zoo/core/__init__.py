"""What everything else stands on, and knows of no model: errors, files, progress, devices, numbers, random bits."""
