"""Data: one contract, one small file per source, taxonomies mapped by YAML."""
