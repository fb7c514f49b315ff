"""The voc command, one file for each group of commands."""
