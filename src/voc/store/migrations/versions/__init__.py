"""One file for each revision; each is frozen once released."""
