"""The Hugging Face Hub: publishing releases, loading them by name, who published them; and what a SOURCE is."""
