"""Widgets: one Python file and one JavaScript file each; `shared` holds what two of them need."""
