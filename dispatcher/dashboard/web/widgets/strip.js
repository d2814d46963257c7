// Previews in the order they came, to look through or to play.

import { fill, h } from '../dom.js';
import { count } from '../format.js';

const PLAY = 350; // milliseconds a preview

/** A strip of previews; `show(preview)` is called with the one chosen. */
export class Strip {
  constructor(show, signal) {
    this.show = show;
    this.previews = [];
    this.buttons = h('div', { class: 'strip', role: 'group', 'aria-label': 'Previews, earliest first' });
    this.play = h('button', { type: 'button', on: { click: () => this.#toggle() } }, 'Play');
    this.element = h('section', { 'aria-label': 'Previews', hidden: true }, h('h2', {}, 'Previews ', this.play), this.buttons);
    signal.addEventListener('abort', () => this.#stop());
  }

  /** The previews there are now. */
  set(previews) {
    if (previews.length === this.previews.length) return;
    this.previews = previews;
    this.element.hidden = previews.length === 0;
    this.play.hidden = previews.length < 2;
    const atEnd = this.buttons.scrollLeft + this.buttons.clientWidth >= this.buttons.scrollWidth - 8;
    fill(this.buttons, ...previews.map((preview, place) => {
      const image = h('img', { src: preview.url, alt: '', loading: 'lazy', decoding: 'async' });
      return h('button', { type: 'button', on: { click: () => this.#choose(place) } }, image, h('span', {}, `after ${count(preview.steps)}`));
    }));
    if (atEnd) this.buttons.scrollLeft = this.buttons.scrollWidth;
  }

  #choose(place) {
    [...this.buttons.children].forEach((button, other) => button.setAttribute('aria-pressed', other === place));
    this.show(this.previews[place]);
  }

  #toggle() {
    if (this.timer) {
      this.#stop();
      return;
    }
    let place = 0;
    this.play.textContent = 'Stop';
    const next = () => {
      if (place >= this.previews.length) {
        this.#stop();
        return;
      }
      this.#choose(place);
      place += 1;
    };
    this.timer = setInterval(next, PLAY);
    next();
  }

  #stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = 'Play';
  }
}
