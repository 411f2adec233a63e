"""The small library behind the book: read it floor by floor, from `shapes` up to `checks`."""
