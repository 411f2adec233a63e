import { convOutput, transposedOutput } from "./shapes.js";
/* What every way to change the size of a map does to each number, as sums of products. No DOM.

   A setting is { mode, input, kernel, positions, stride, padding, dilation, outputPadding }: `input` and `kernel` are
   lists of rows; `positions` says for each input cell which px of its block max pooling remembered (0 is the first,
   then row by row); the rest are pairs [rows, columns]. `stride` is the factor of the modes that have no kernel.
   `upsample` gives { broken }, or what all else follows from: a canvas of cells, each with the list of its terms
   { from, weight, at, step }: the input cell, the number it is multiplied by, where in the kernel that number stands,
   and the step in which the product is added. */

export const MODES = ["nearest", "nails", "unpool", "bilinear", "strided", "transposed"];

const filled = (rows, columns, value) =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => value(row, column)));

/** The matrix with another number of rows and columns; new cells hold 1. */
export const resized = (matrix, rows, columns) => filled(rows, columns, (row, column) => matrix[row]?.[column] ?? 1);

/** The px of a block of `stride` that the position of the input cell names, as [row, column]. */
export function remembered({ positions, stride }, row, column) {
  const position = Math.min(positions[row]?.[column] ?? 0, stride[0] * stride[1] - 1);
  return [Math.floor(position / stride[1]), position % stride[1]];
}

/** The kernel that the input cell is multiplied by: the reader's, or the one that the mode stands for. */
export function stampOf(setting, row = 0, column = 0) {
  const { mode, kernel, stride } = setting;
  if (mode === "transposed" || mode === "strided") return kernel;
  if (mode === "nearest") return filled(...stride, () => 1);
  const [top, left] = mode === "unpool" ? remembered(setting, row, column) : [0, 0];
  return filled(...stride, (m, n) => Number(m === top && n === left));
}

export const extentOf = ({ dilation }, kernel) =>
  [dilation[0] * (kernel.length - 1) + 1, dilation[1] * (kernel[0].length - 1) + 1];

/** The size along one axis as a formula: { size, parts, faults }, a part being a list of text and [name, number or text];
    `faults` names the terms that make the setting impossible. */
export function sizeFormula({ mode, input, kernel, stride, padding, dilation, outputPadding }, axis) {
  const sizes = [[input.length, kernel.length], [input[0].length, kernel[0].length]][axis];
  const [size, kernelSize] = sizes;
  const [s, p, d, o] = [stride, padding, dilation, outputPadding].map((pair) => pair[axis]);
  if (mode === "transposed") {
    const output = (size - 1) * s - 2 * p + d * (kernelSize - 1) + o + 1;
    return { size: output, faults: o >= Math.max(s, d) ? ["output_padding"] : output < 1 ? ["padding"] : [], parts: [["(", ["input", size], "− 1) ×", ["stride", s]],
      ["− 2 ×", ["padding", p]], ["+", ["dilation", d], "× (", ["kernel", kernelSize], "− 1)"], ["+", ["output_padding", o]], ["+", ["one", 1]]] };
  }
  if (mode === "strided") {
    const output = Math.floor((size + 2 * p - d * (kernelSize - 1) - 1) / s) + 1;
    return { size: output, faults: output >= 1 ? [] : d > 1 ? ["dilation", "kernel"] : ["kernel"], parts: [["⌊(", ["input", size]], ["+ 2 ×", ["padding", p]],
      ["−", ["dilation", d], "× (", ["kernel", kernelSize], "− 1)"], ["− 1) ÷", ["stride", s], ["down", "⌋"]], ["+", ["one", 1]]] };
  }
  return { size: size * s, faults: [], parts: [[["input", size], "×", ["stride", s]]] };
}

/** The rule that a setting breaks, in a sentence, or undefined. */
function brokenRule({ mode, input, kernel, ...pairs }) {
  if (mode !== "transposed" && mode !== "strided") return undefined;
  const rule = mode === "transposed" ? transposedOutput : convOutput;
  const [rows, columns] = [0, 1].map((axis) => {
    const settings = Object.fromEntries(Object.entries(pairs).map(([key, pair]) => [key, pair[axis]]));
    return rule(axis ? input[0].length : input.length, { ...settings, kernelSize: axis ? kernel[0].length : kernel.length }).broken;
  });
  if (rows === columns || !columns) return rows && (rows === columns ? rows : "Rows: " + rows);
  return rows ? rows : "Columns: " + columns;
}

/** Along one axis, the input px that an output px of bilinear upsampling lies between, as [px, share] with a share above 0. */
function between(index, size, factor) {
  const place = Math.max(0, (index + 0.5) / factor - 0.5);
  const before = Math.floor(place), share = place - before;
  return before + 1 < size && share ? [[before, 1 - share], [before + 1, share]] : [[before, 1]];
}

export function upsample(setting) {
  const { mode, input, stride, padding, dilation, outputPadding } = setting;
  const broken = brokenRule(setting);
  if (broken) return { broken };
  const sizes = [0, 1].map((axis) => sizeFormula(setting, axis).size);
  const transposed = mode === "transposed", inputs = [input.length, input[0].length];
  const extents = extentOf(setting, stampOf(setting));
  const canvas = transposed
    ? inputs.map((size, axis) => (size - 1) * stride[axis] + extents[axis] + Math.max(0, outputPadding[axis] - padding[axis])) : sizes;
  const terms = Array.from({ length: canvas[0] * canvas[1] }, () => []);
  const add = (row, column, term) => terms[row * canvas[1] + column].push(term);
  const spacing = transposed || mode === "strided" ? dilation : [1, 1];

  if (mode === "bilinear") {
    filled(...canvas, (row, column) => between(row, inputs[0], stride[0]).forEach(([i, share]) =>
      between(column, inputs[1], stride[1]).forEach(([j, other]) =>
        add(row, column, { from: [i, j], weight: share * other, step: i * inputs[1] + j }))));
  } else if (mode === "strided") {
    filled(...canvas, (row, column) => setting.kernel.forEach((weights, m) => weights.forEach((weight, n) => {
      const from = [row * stride[0] - padding[0] + m * spacing[0], column * stride[1] - padding[1] + n * spacing[1]];
      if (input[from[0]]?.[from[1]] !== undefined) add(row, column, { from, weight, at: [m, n], step: row * canvas[1] + column });
    })));
  } else {
    filled(...inputs, (i, j) => stampOf(setting, i, j).forEach((weights, m) => weights.forEach((weight, n) =>
      add(i * stride[0] + m * spacing[0], j * stride[1] + n * spacing[1], { from: [i, j], weight, at: [m, n], step: i * inputs[1] + j }))));
  }
  return { sizes, canvas, terms, offset: transposed ? padding : [0, 0], steps: mode === "strided" ? terms.length : inputs[0] * inputs[1] };
}

/** What a cell holds: the sum of the products among its terms. */
export const sumOf = (input, terms) => terms.reduce((sum, { from: [row, column], weight }) => sum + input[row][column] * weight, 0);

/** The finished output, as a list of rows, without the rim that padding cuts off. */
export function outputOf(setting) {
  const { sizes, canvas, terms, offset } = upsample(setting);
  return filled(...sizes, (row, column) => sumOf(setting.input, terms[(row + offset[0]) * canvas[1] + column + offset[1]]));
}
