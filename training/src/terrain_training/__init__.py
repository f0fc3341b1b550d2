"""Train, evaluate and export terrain segmentation networks; never installed on the vehicle."""
