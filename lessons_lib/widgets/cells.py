"""A row or a grid of numbers to type cell by cell, in the page; how large it is, is part of the question."""

from itertools import combinations

from traitlets import CFloat, List, Tuple, Unicode

from lessons_lib.widgets.question import Mistake, Question

Grid = list[list[float]]


class Cells(Question):
    """A grid of numbers to type. Cells that the answer doesn't have stay empty, so that nobody sees its size.

    A single row may begin in any cell, a grid of several rows begins in the upper left one. A wrong answer is told
    which cells are wrong. If all its numbers are those of one of the `mistakes`, that one's words are said, else how
    many are right, or that something is missing, and the next hint. After the last hint the solution can be opened.

    Args:
        key: name in the browser's memory, "PAGE/NAME", never used twice.
        prompt: the question.
        answer: rows of numbers; a flat list is one row.
        room: (rows, columns) of cells that are shown; none takes what answer and mistakes need.
        traits: `mistakes`, wrong grids that readers arrive at, the more likely first; `hints`; `solution`, how one
            gets there, in words; `tolerance` within which a number is right; `after` is said after the right answer.

    Raises:
        ValueError: a grid's rows differ in length, it does not fit into the room, or two grids are the same.

    Example:
        >>> Cells("00_example/row", "Stamps 1, 2 and 3, 4, one apart?", answer=[1, 5, 4], mistakes=[
        ...     Mistake([1, 3, 4], "The later stamp overwrites the earlier one. Add them up.")])
        Exercise: Stamps 1, 2 and 3, 4, one apart?
    """

    name = "cells"
    answer, tolerance = List(List(CFloat())).tag(sync=True), CFloat(0).tag(sync=True)
    room = Tuple().tag(sync=True)
    mistakes = List(Tuple(List(List(CFloat())), Unicode())).tag(sync=True)
    hints, solution = List(Unicode()).tag(sync=True), Unicode().tag(sync=True)

    def __init__(self, key: str, prompt: str, answer: list, room: tuple[int, int] | None = None, **traits):
        mistakes = [Mistake(_grid(value), why) for value, why in traits.pop("mistakes", ())]
        grids = [_grid(answer), *(grid for grid, _ in mistakes)]
        room = room or (max(map(len, grids)), max(len(row) for grid in grids for row in grid))
        super().__init__(key, prompt, answer=grids[0], mistakes=mistakes, room=tuple(room), **traits)

    def _check(self) -> None:
        self._require(not self.predict, "a grid is no prediction: ask for one with Choice or Number")
        grids = [self.answer, *(grid for grid, _ in self.mistakes)]
        for grid in grids:
            rows, columns = len(grid), {len(row) for row in grid}
            fits = len(columns) == 1 and 0 < rows <= self.room[0] and 0 < min(columns) <= self.room[1]
            self._require(
                fits, f"a grid has equal rows and fits into {self.room[0]} x {self.room[1]} cells: got {grid}"
            )
        for one, two in combinations(grids, 2):
            self._require(not _same(one, two, self.tolerance), f"answer and mistakes differ: got {one} twice")


def _grid(numbers: list) -> Grid:
    """Return rows of numbers; a flat list is one row."""
    rows = numbers.tolist() if hasattr(numbers, "tolist") else list(numbers)
    return [list(row) for row in rows] if rows and isinstance(rows[0], list | tuple) else [rows]


def _same(one: Grid, two: Grid, tolerance: float) -> bool:
    if [len(row) for row in one] != [len(row) for row in two]:
        return False
    return all(abs(a - b) <= tolerance for left, right in zip(one, two) for a, b in zip(left, right))
