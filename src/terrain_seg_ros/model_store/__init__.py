"""Models on disk: folders, cards, pins, signatures, and fetching them."""
