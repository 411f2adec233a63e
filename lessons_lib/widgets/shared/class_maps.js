/* Class maps as runs, and how often they are wrong. No DOM here. */

const VOID = 255;

/** A share in words: one decimal below 10 %. */
export function percent(share) {
  if (share === null) return "–";
  const value = 100 * share;
  return (value > 0 && value < 0.05 ? "<0.1" : value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)) + "\u00a0%";
}

/** A map of small numbers as runs, row after row: "a12b" is twelve times 0, then 1; "~" is 255. */
export function decodeRuns(text) {
  const runs = [...text.matchAll(/(\D)(\d*)/g)].map(([, sign, length]) => [sign === "~" ? VOID : sign.charCodeAt(0) - 97, Number(length || 1)]);
  const map = new Uint8Array(runs.reduce((sum, [, length]) => sum + length, 0));
  let at = 0;
  for (const [id, length] of runs) map.fill(id, at, at += length);
  return map;
}

/** 1 where a prediction is wrong, else 0; void is never wrong. */
export const wrongPixels = (predicted, truth) => truth.map((id, index) => Number(id !== VOID && predicted[index] !== id));

/** Counts the pixels of a region: how many count at all, and how many of them are wrong. `inside(index)` says what belongs to it. */
export function countWrong(wrong, truth, inside) {
  let pixels = 0, mistakes = 0;
  truth.forEach((id, index) => {
    if (id === VOID || !inside(index)) return;
    pixels += 1;
    mistakes += wrong[index];
  });
  return { pixels, mistakes, share: pixels ? mistakes / pixels : null };
}
