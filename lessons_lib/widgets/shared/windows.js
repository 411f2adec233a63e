/* Counts of the sliding window: which pixels it has read, and what its network multiplies. No DOM here.

   A window of w x w px (w odd) slides over a picture of rows x columns px, one window round each pixel, row by row.
   Its network is a stack of unpadded 3x3 convolutions that shrinks w x w to 1 x 1, then a 1x1 convolution to the
   classes. Run once over the picture, padded once by (w - 1) / 2 px on each side, it gives the same answers. */

/** How many of the integers from `first` to `last`, both included, are also in 0 … count - 1. */
function overlap(first, last, count) {
  return Math.max(0, Math.min(last, count - 1) - Math.max(first, 0) + 1);
}

/** How often each pixel was read by the first `done` windows: rows * columns counts, row after row. */
export function readCounts(rows, columns, window, done) {
  const half = (window - 1) / 2;
  const fullRows = Math.floor(done / columns);
  const counts = new Uint32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const above = overlap(row - half, row + half, fullRows);
    const inOpenRow = Math.abs(row - fullRows) <= half;
    for (let column = 0; column < columns; column += 1) {
      counts[row * columns + column] = above * overlap(column - half, column + half, columns)
        + (inOpenRow ? overlap(column - half, column + half, done % columns) : 0);
    }
  }
  return counts;
}

/** Multiplications of the stack where it ends in rows x columns answers: 1 x 1 is one window, rows x columns one pass. */
export function stackMultiplications({ rows, columns, window, width, classes }) {
  let total = rows * columns * width * classes;
  for (let layer = 1; layer <= (window - 1) / 2; layer += 1) {
    const margin = window - 1 - 2 * layer;
    total += (rows + margin) * (columns + margin) * 9 * (layer === 1 ? 3 : width) * width;
  }
  return total;
}
