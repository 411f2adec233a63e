/* Sizes along one axis, in whole px, and the rule that a setting breaks: `lessons_lib/shapes.py` in JavaScript. No DOM.

   Each function takes a size and the settings of a layer by torch's names, and gives { size } or { broken }: the
   sentence that names the rule, the values and the remedy. */

/** The greatest number that a setting may be, in words. */
const atMost = (most) => (most ? `${most} or less` : "0");

/** Input px from a kernel's first to its last weight, both included. */
export const extent = (kernelSize, dilation) => dilation * (kernelSize - 1) + 1;

export function convOutput(size, { kernelSize, stride = 1, padding = 0, dilation = 1 }) {
  const spans = extent(kernelSize, dilation), padded = size + 2 * padding;
  if (spans > padded) {
    return { broken: `The kernel must fit in the padded input: it spans ${spans} px, the padded input has ${padded}. `
      + `Use a smaller kernel or dilation, or padding ${Math.ceil((spans - size) / 2)} or more.` };
  }
  return { size: Math.floor((padded - spans) / stride) + 1 };
}

export function poolOutput(size, { kernelSize, stride = kernelSize, padding = 0, dilation = 1 }) {
  const most = Math.floor(kernelSize / 2);
  if (padding > most) {
    return { broken: `Pooling padding must be at most half of the window: got ${padding} for a window of ${kernelSize}. Use ${atMost(most)}.` };
  }
  const output = convOutput(size, { kernelSize, stride, padding, dilation });
  return output.broken ? { broken: `The window must fit in the padded input: it spans ${extent(kernelSize, dilation)} px, `
    + `the padded input has ${size + 2 * padding}. Use a smaller window, a larger image or fewer poolings.` } : output;
}

export function transposedOutput(size, { kernelSize, stride = 1, padding = 0, outputPadding = 0, dilation = 1 }) {
  const limit = Math.max(stride, dilation);
  if (outputPadding >= limit) {
    return { broken: `output_padding must be smaller than stride or dilation: got ${outputPadding} for stride ${stride} and `
      + `dilation ${dilation}. Use ${atMost(limit - 1)}.` };
  }
  const output = (size - 1) * stride - 2 * padding + dilation * (kernelSize - 1) + outputPadding + 1;
  if (output < 1) {
    return { broken: `Padding must leave at least 1 px of the output: padding ${padding} cuts ${2 * padding} px from `
      + `${output + 2 * padding}. Use ${atMost(Math.floor((output + 2 * padding - 1) / 2))}.` };
  }
  return { size: output };
}
