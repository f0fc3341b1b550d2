"""Its presence puts this folder on the import path: `tiny_model` serves tests of every part."""
