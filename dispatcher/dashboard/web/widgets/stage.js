// The pictures of a job: content, styles and result side by side, or content and result in one place
// with a divider.

import { path } from '../api.js';
import { fill, h } from '../dom.js';
import { count } from '../format.js';
import { compare } from './compare.js';
import { Zoom, fit } from './zoom.js';

const STYLES_SHOWN = 6;
const SIDE = 2048; // of what replaces a picture that a browser cannot show

export class Stage {
  constructor() {
    this.zoom = new Zoom();
    this.mode = 'side';
    this.pictures = h('div', { class: 'stage' });
    this.modes = ['side', 'slider'].map((mode) => h('button', { type: 'button', 'aria-pressed': mode === this.mode, on: { click: () => this.#setMode(mode) } }, mode === 'side' ? 'Side by side' : 'Slider'));
    this.caption = h('span', { class: 'note', role: 'status' });
    this.back = h('button', { type: 'button', hidden: true, on: { click: () => this.choose(null) } }, 'Show the latest');
    const zoomed = (label, text, act) => h('button', { type: 'button', class: 'icon', 'aria-label': label, on: { click: act } }, text);
    this.element = h(
      'section',
      { 'aria-label': 'Pictures' },
      h('div', { class: 'toolbar' }, this.switch = h('span', { class: 'switch', role: 'group', 'aria-label': 'How to compare' }, ...this.modes), h('span', { class: 'switch', role: 'group', 'aria-label': 'Zoom' }, zoomed('Closer', '+', () => this.zoom.by(1.5)), zoomed('Farther', '−', () => this.zoom.by(1 / 1.5)), zoomed('Fit the whole picture', 'Fit', () => this.zoom.reset())), this.caption, this.back),
      this.pictures,
    );
  }

  /** Shows the pictures of a job as it is now. */
  set(job) {
    this.job = job;
    const main = job.outputs.find(({ media_type: type }) => /^(image|video)\//.test(type));
    const latest = job.previews.at(-1) ?? null;
    this.latest = main ? { output: main, url: main.url, caption: '' } : latest && { url: latest.url, caption: after(latest) };
    this.content = job.inputs.find(({ role }) => role === 'content') ?? null;
    this.others = job.inputs.filter((input) => input !== this.content);
    // What a preview or a result changes is one address: the rest stays as it is, zoomed as it is.
    const drawn = JSON.stringify([this.content?.url, this.others.length, Boolean(this.latest), main?.media_type]);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.#draw();
    } else {
      this.#showResult();
    }
  }

  /** Shows a preview in place of the latest; null: the latest again. */
  choose(preview) {
    this.chosen = preview;
    this.#showResult();
  }

  #setMode(mode) {
    this.mode = mode;
    this.modes.forEach((button, place) => button.setAttribute('aria-pressed', mode === ['side', 'slider'][place]));
    this.#draw();
  }

  #draw() {
    const { content, others, latest } = this;
    const isVideo = latest?.output?.media_type.startsWith('video/');
    this.switch.hidden = !content || !latest || isVideo;
    this.zoom = new Zoom();
    this.result = null;
    const parts = [];
    if (isVideo) {
      parts.push(figureOf('Result', h('video', { controls: true, preload: 'metadata', src: latest.url }), ''));
      if (content) parts.push(this.#figure('Content', this.#inputImage(content), content.name));
    } else if (latest && content && this.mode === 'slider') {
      this.result = this.#image('Result');
      const pane = compare(this.#inputImage(content), this.result, this.zoom);
      this.zoom.add(pane);
      parts.push(h('figure', { class: 'wide' }, pane, h('figcaption', {}, `${content.name} left of the divider, the result right of it`)));
      fit(pane, this.result);
    } else {
      if (content) parts.push(this.#figure('Content', this.#inputImage(content), content.name));
      if (latest) {
        this.result = this.#image('Result');
        parts.push(this.#figure('Result', this.result, ''));
      } else {
        parts.push(h('figure', {}, h('div', { class: 'pane nothing' }, h('span', {}, this.job.state === 'failed' ? 'No result' : 'No picture yet')), h('figcaption', {}, h('b', {}, 'Result'))));
      }
    }
    const styles = others.slice(0, STYLES_SHOWN).map((input) => figureOf(roleWord(input.role), this.#inputImage(input, false), input.name));
    if (styles.length > 0) {
      const more = others.length - STYLES_SHOWN;
      parts.push(h('div', { class: 'styles' }, ...styles, more > 0 && h('p', { class: 'note' }, `and ${count(more)} more inputs`)));
    }
    fill(this.pictures, ...parts);
    this.#showResult();
  }

  #showResult() {
    const shown = this.chosen ? { url: this.chosen.url, caption: after(this.chosen) } : this.latest;
    this.caption.textContent = shown?.caption ?? '';
    this.back.hidden = !this.chosen;
    if (!this.result || !shown || this.result.getAttribute('src') === shown.url) return;
    const { output } = shown;
    this.result.fallback = output ? `${path('jobs', this.job.job, 'outputs', output.role)}?side=${SIDE}` : null;
    this.result.src = shown.url;
  }

  #figure(word, image, name) {
    const pane = h('div', { class: 'pane', tabindex: 0, role: 'group', 'aria-label': `${word}: + and − zoom, arrows move` }, image);
    this.zoom.add(pane);
    fit(pane, image);
    return h('figure', {}, pane, h('figcaption', {}, h('b', {}, word), ` ${name}`));
  }

  #inputImage(input, zoomed = true) {
    const image = this.#image(`${roleWord(input.role)}: ${input.name}`, zoomed);
    image.fallback = `${path('jobs', this.job.job, 'inputs', input.role)}?side=${SIDE}`;
    image.src = zoomed ? input.url : (input.thumbnail ?? input.url);
    return image;
  }

  // What a browser cannot show, as TIFF, is asked for once more as a JPEG.
  #image(alt, zoomed = true) {
    const image = h('img', { alt, class: zoomed ? 'zoomed' : null, draggable: 'false', decoding: 'async' });
    image.addEventListener('error', () => {
      if (!image.fallback) return;
      image.src = image.fallback;
      image.fallback = null;
    });
    return image;
  }
}

function figureOf(word, content, name) {
  return h('figure', {}, content, h('figcaption', {}, h('b', {}, word), ` ${name}`));
}

function after(preview) {
  return `after ${count(preview.steps)} steps`;
}

function roleWord(role) {
  const [kind, number] = role.split('.');
  const word = kind[0].toUpperCase() + kind.slice(1);
  return number ? `${word} ${number}` : word;
}
