// A list of any length, of which only what is in view is in the document. Items have one height; the
// page scrolls, and pages of items are fetched as they come into view.

import { h, setAttribute } from '../dom.js';

const PAGE = 100;
const KEPT_PAGES = 60;
const ROWS_BEYOND = 3;
const SETTLED = 70; // milliseconds without scrolling until pages are fetched

export class WindowedList {
  /**
   * - `fetchPage(offset, limit, signal)` gives `{ total, items }`
   * - `key(item)` tells items apart
   * - `create()` makes an item's element, `update(element, item)` shows an item in it
   * - `height`: of a row in pixels; `width`: the least width of a column, none for a single one
   * - `label`: what this is a list of
   * - `onTotal(total)`, `onError(error)`
   */
  constructor(options, signal) {
    this.options = options;
    this.pages = new Map();
    this.total = null;
    this.shown = new Map(); // index → element
    this.current = -1;
    this.fetching = new AbortController();
    this.element = h('div', { class: 'list', role: 'list', 'aria-label': options.label });
    const look = () => this.#look();
    addEventListener('scroll', look, { passive: true, signal });
    this.observer = new ResizeObserver(look);
    this.observer.observe(this.element);
    signal.addEventListener('abort', () => {
      this.observer.disconnect();
      this.fetching.abort();
    });
    this.element.addEventListener('focusin', (event) => {
      const item = event.target.closest('[data-index]');
      if (item) this.current = Number(item.dataset.index);
    });
  }

  /** Fetches everything anew. What is shown stays until the answer is there. */
  async reload({ clear = false } = {}) {
    this.fetching.abort();
    this.fetching = new AbortController();
    if (clear) {
      this.total = null;
      this.current = -1;
    }
    this.stale = clear ? null : this.pages;
    this.pages = new Map();
    const { first, last } = this.#range();
    const from = Math.floor(Math.max(0, first) / PAGE);
    const to = Math.max(from, Math.floor(Math.max(0, last - 1) / PAGE));
    const wanted = [];
    for (let page = from; page <= to; page += 1) wanted.push(this.#fetch(page));
    await Promise.all(wanted);
    this.stale = null;
  }

  /** Shows a new state of an item, if it is among those at hand. Says whether it was. */
  replace(item) {
    const key = this.options.key(item);
    for (const [number, page] of this.pages) {
      const place = page.items?.findIndex((other) => this.options.key(other) === key) ?? -1;
      if (place < 0) continue;
      page.items[place] = item;
      const element = this.shown.get(number * PAGE + place);
      if (element) this.#show(element, number * PAGE + place);
      return true;
    }
    return false;
  }

  /** The item of that key, if it is among those at hand. */
  find(key) {
    for (const page of this.pages.values()) {
      const item = page.items?.find((other) => this.options.key(other) === key);
      if (item) return item;
    }
    return null;
  }

  /** Shows all items at hand again. */
  refresh() {
    for (const [index, element] of this.shown) this.#show(element, index);
  }

  /** Another height and width of items. */
  resize(height, width) {
    Object.assign(this.options, { height, width });
    for (const element of this.shown.values()) element.remove();
    this.shown.clear();
    this.#look();
  }

  /** Moves the focus by so many items. */
  move(by) {
    if (!this.total) return;
    const wanted = this.current < 0 ? this.#range().firstInView : this.current + by;
    const index = Math.min(Math.max(wanted, 0), this.total - 1);
    this.current = index;
    const { columns } = this.#layout();
    const top = this.#top() + Math.floor(index / columns) * this.options.height;
    const margin = 120; // the header above, the bar of views below on a phone
    if (top < margin) scrollBy(0, top - margin);
    const below = top + this.options.height - innerHeight + margin;
    if (below > 0) scrollBy(0, below);
    this.#render();
    this.shown.get(index)?.querySelector('a.name, button')?.focus({ preventScroll: true });
  }

  #layout() {
    const { width } = this.options;
    const columns = width ? Math.max(1, Math.floor(this.element.clientWidth / width)) : 1;
    return { columns, rows: Math.ceil((this.total ?? 0) / columns) };
  }

  #top() {
    return this.element.getBoundingClientRect().top;
  }

  #range() {
    const { columns, rows } = this.#layout();
    const { height } = this.options;
    const top = this.#top();
    const firstRow = Math.max(0, Math.floor(-top / height));
    const lastRow = Math.min(rows, Math.ceil((innerHeight - top) / height));
    return {
      firstInView: Math.min(rows, Math.ceil(Math.max(0, 60 - top) / height)) * columns,
      first: Math.max(0, firstRow - ROWS_BEYOND) * columns,
      last: Math.min(this.total ?? 0, (lastRow + ROWS_BEYOND) * columns),
      columns,
      rows,
    };
  }

  #look() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#render();
    });
    clearTimeout(this.settled);
    this.settled = setTimeout(() => this.#fetchInView(), SETTLED);
  }

  #render() {
    const { first, last, columns, rows } = this.#range();
    const { height } = this.options;
    this.element.style.setProperty('height', `${rows * height}px`);
    // The item with the focus stays, or the focus would be lost by scrolling.
    const kept = this.shown.get(this.current)?.contains(document.activeElement) ? this.current : -1;
    for (const [index, element] of this.shown) {
      if (index >= this.total || ((index < first || index >= last) && index !== kept)) {
        element.remove();
        this.shown.delete(index);
      }
    }
    let before = null; // the order in the document is that of the list
    for (let index = last - 1; index >= first; index -= 1) {
      let element = this.shown.get(index);
      if (!element) {
        element = this.options.create();
        element.setAttribute('role', 'listitem');
        element.setAttribute('aria-posinset', index + 1);
        element.dataset.index = index;
        element.style.setProperty('height', `${height}px`);
        this.element.insertBefore(element, before);
        this.shown.set(index, element);
        this.#show(element, index);
      }
      element.style.setProperty('width', `${100 / columns}%`);
      element.style.setProperty('left', `${((index % columns) * 100) / columns}%`);
      element.style.setProperty('top', `${Math.floor(index / columns) * height}px`);
      setAttribute(element, 'aria-setsize', String(this.total));
      before = element;
    }
  }

  #show(element, index) {
    const number = Math.floor(index / PAGE);
    const item = (this.pages.get(number)?.items ?? this.stale?.get(number)?.items)?.[index % PAGE];
    element.classList.toggle('pending', item === undefined);
    if (item !== undefined) this.options.update(element, item, index);
  }

  #fetchInView() {
    const { first, last } = this.#range();
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) {
      if (!this.pages.has(page)) this.#fetch(page);
    }
  }

  async #fetch(number) {
    const page = { items: null };
    const { pages } = this;
    pages.set(number, page);
    try {
      const { signal } = this.fetching;
      const { total, items } = await this.options.fetchPage(number * PAGE, PAGE, signal);
      if (pages !== this.pages) return;
      page.items = items;
      if (total !== this.total) {
        this.total = total;
        this.options.onTotal?.(total);
      }
      this.#forget(number);
      this.#render();
      for (const [index, element] of this.shown) {
        if (Math.floor(index / PAGE) === number) this.#show(element, index);
      }
      this.options.onError?.(null);
    } catch (error) {
      pages.delete(number);
      if (error.name !== 'AbortError') this.options.onError?.(error);
    }
  }

  // Pages far from the one just fetched go, oldest first.
  #forget(near) {
    for (const number of this.pages.keys()) {
      if (this.pages.size <= KEPT_PAGES) return;
      if (Math.abs(number - near) > 3) this.pages.delete(number);
    }
  }
}

/** Pages of a list that is at hand as a whole. */
export function pagesOf(items) {
  return (offset, limit) => ({ total: items.length, items: items.slice(offset, offset + limit) });
}
