"""Routes: each parses, calls and answers, and nothing more."""
