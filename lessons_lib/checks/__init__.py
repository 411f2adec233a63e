"""Checkers of the exercises: they judge an answer and name its mistake."""
