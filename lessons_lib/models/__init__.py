"""Networks, one architecture a file; `blocks` holds what they share."""
