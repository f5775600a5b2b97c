"""The Hugging Face Hub: releases are published to it and loaded from it; and what a SOURCE is."""
