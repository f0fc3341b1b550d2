"""One file per source of labelled images."""
