"""What builds, serves and measures the book; nothing here is needed to read lessons_lib."""
