// Light, dark, or as the system has it: kept in this browser. Loaded before the first paint, so
// that a page kept dark does not flash white.

const KEY = 'stylefleet-theme';
const ORDER = ['system', 'light', 'dark'];

/** The colours chosen here. */
export function theme() {
  return ORDER.includes(stored()) ? stored() : 'system';
}

/** Goes on to the next choice, and returns it. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing still shows it until the page is loaded again.
  }
  apply(next);
  return next;
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(choice) {
  document.documentElement.dataset.theme = choice;
}

apply(theme());
