"""Data, one file a source: drawn scenes, photographs, nuclei."""
