"""Run a model, from a run or as exported, over labelled images."""
