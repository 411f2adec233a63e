/* Max pooling that remembers positions, and max unpooling: 2x2 blocks, maps as lists row after row. No DOM.
   Positions are numbered as torch numbers them: row * columns + column in the map that was pooled. */

/** The greatest number of every block and where it stood; among equals the first, row by row. Px that fill no block are left out. */
export function maxPool(cells, columns) {
  const pooled = [], positions = [];
  for (let top = 0; top + 1 < cells.length / columns; top += 2) {
    for (let left = 0; left + 1 < columns; left += 2) {
      const corner = top * columns + left;
      const best = [corner, corner + 1, corner + columns, corner + columns + 1]
        .reduce((first, next) => (cells[next] > cells[first] ? next : first));
      pooled.push(cells[best]);
      positions.push(best);
    }
  }
  return { pooled, positions };
}

/** A map of `length` px with every value at its position and 0 elsewhere. */
export function maxUnpool(values, positions, length) {
  const cells = Array(length).fill(0);
  positions.forEach((position, index) => { cells[position] = values[index]; });
  return cells;
}
