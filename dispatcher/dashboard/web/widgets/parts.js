// Small parts that views share.

import { h } from '../dom.js';

/** A heading of a view with what stands beside it. */
export function viewHeader(title, ...beside) {
  return h('div', { class: 'view-header' }, h('h1', {}, title), ...beside);
}

/** A line that tells what went wrong, and the function that sets it; null clears it. */
export function problemLine() {
  const line = h('p', { class: 'error', role: 'alert', hidden: true });
  const tell = (error) => {
    line.hidden = !error;
    line.textContent = error ? error.message : '';
  };
  return [line, tell];
}

/** Whether the page is as narrow as on a phone, and what to call when that changes. */
export function onNarrow(listen, signal) {
  const narrow = matchMedia('(max-width: 640px)');
  narrow.addEventListener('change', () => listen(narrow.matches), { signal });
  return narrow.matches;
}

/** An address within the page. */
export function hash(parts, query = {}) {
  const path = parts.map(encodeURIComponent).join('/');
  const given = Object.entries(query).filter(([, value]) => value);
  return given.length ? `#/${path}?${new URLSearchParams(given)}` : `#/${path}`;
}

/** A picture that leaves its place empty until it has loaded, or if it cannot be had. */
export function setPicture(image, url) {
  if (image.getAttribute('src') === url) return;
  image.classList.remove('loaded');
  if (url) image.src = url;
  else image.removeAttribute('src');
}

/** An image element for `setPicture`. */
export function picture() {
  const image = h('img', { alt: '', decoding: 'async', loading: 'lazy' });
  image.addEventListener('load', () => image.classList.add('loaded'));
  return image;
}
