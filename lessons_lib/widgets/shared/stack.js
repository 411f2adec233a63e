import { convOutput, extent, poolOutput } from "./shapes.js";
/* What a stack of layers does to a square image: sizes, receptive fields, costs, and the pixels behind a pixel. No DOM.

   A layer is ["conv", kernel, stride, padding, dilation, channels] or ["pool", kernel, stride, padding]. Row 0 of a
   stack is the image, row r the output of its r-th layer. Positions are in px of the image, along one axis: pixel i of
   a row has its centre at start + i * jump. */

export const FLOAT_BYTES = 4;

/** A layer's settings by torch's names. */
export const settingsOf = ([kind, kernelSize, stride, padding, dilation = 1, channels]) =>
  ({ kind, kernelSize, stride, padding, dilation, channels });

/** The input px that the output pixels `indices` read, in rising order; below 0 and behind the end lies padding. */
function readBy({ kernelSize, stride, padding, dilation }, indices) {
  const read = new Set();
  for (const index of indices) for (let tap = 0; tap < kernelSize; tap += 1) read.add(index * stride - padding + tap * dilation);
  return [...read].sort((one, other) => one - other);
}

/** One row for the image and one a layer: { size, channels, sees, jump, start, unread, parameters, multiplications,
    bytes }; { broken } with the rule that an impossible layer breaks; { waits: true } behind such a layer. `sees` is the
    receptive field, `unread` counts px at the end of the input that are not read. */
export function measureStack(size, channels, layers) {
  const rows = [{ size, channels, sees: 1, jump: 1, start: 0, unread: 0, parameters: 0, multiplications: 0,
    bytes: FLOAT_BYTES * channels * size ** 2 }];
  for (const layer of layers) {
    const before = rows[rows.length - 1];
    if (before.size === undefined) { rows.push({ waits: true }); continue; }
    const settings = settingsOf(layer), { kernelSize, stride, padding, dilation } = settings;
    const pools = settings.kind === "pool";
    const output = (pools ? poolOutput : convOutput)(before.size, settings);
    if (output.broken) { rows.push(output); continue; }
    const spans = extent(kernelSize, dilation), to = pools ? before.channels : settings.channels;
    const weights = pools ? 0 : to * before.channels * kernelSize ** 2;
    rows.push({
      size: output.size, channels: to, jump: before.jump * stride,
      sees: before.sees + (spans - 1) * before.jump,
      start: before.start + ((spans - 1) / 2 - padding) * before.jump,
      unread: before.size - 1 - Math.max(-1, ...readBy(settings, Array(output.size).keys()).filter((index) => index < before.size)),
      parameters: pools ? 0 : weights + to, multiplications: weights * output.size ** 2,
      bytes: FLOAT_BYTES * to * output.size ** 2,
    });
  }
  return rows;
}

/** What stands behind pixel `pixel` of row `row`: for every row from the image on { seen, padding }, the numbers of its
    pixels that matter and of the padding that is read beside them, in rising order. */
export function coneOf(rows, layers, row, pixel) {
  const cone = [];
  cone[row] = { seen: [pixel], padding: [] };
  for (let at = row; at > 0; at -= 1) {
    const places = readBy(settingsOf(layers[at - 1]), cone[at].seen);
    const inside = (index) => index >= 0 && index < rows[at - 1].size;
    cone[at - 1] = { seen: places.filter(inside), padding: places.filter((index) => !inside(index)) };
  }
  return cone;
}

/** The pixel of a row whose centre is nearest to a position. */
export function pixelAt({ start, jump, size }, position) {
  return Math.min(size - 1, Math.max(0, Math.round((position - start) / jump)));
}
