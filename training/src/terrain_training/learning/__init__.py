"""The trainer: what Lightning is told, and what a run leaves behind."""
