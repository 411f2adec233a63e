/* Large numbers in few figures. No DOM. */

/** A number of at most three figures with the unit that it needs. */
function brief(value, base, units) {
  let step = 0;
  while (value >= base * 0.9995 && step < units.length - 1) { value /= base; step += 1; }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(digits) + units[step];
}

/** How many, such as "9.40 M". */
export const amount = (value) => brief(value, 1000, ["", " k", " M", " G", " T"]);

/** Bytes, such as "4.67 MiB". */
export const memory = (value) => brief(value, 1024, [" B", " KiB", " MiB", " GiB"]);
