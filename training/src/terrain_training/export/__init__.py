"""From a checkpoint to a model that the vehicle loads."""
