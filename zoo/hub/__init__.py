"""The Hugging Face Hub: publishing releases, loading them by name, and trust in who published them."""
