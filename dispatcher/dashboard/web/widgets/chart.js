// A line chart as SVG, with a read-out by pointer and by arrow keys, and its numbers as a table.

import { fill, h, s } from '../dom.js';
import { count, figure } from '../format.js';

const HEIGHT = 260;
const MARGIN = { left: 58, right: 12, top: 12, bottom: 26 };
const TABLE_ROWS = 40;

export class Chart {
  /**
   * - `label`: what it shows; `x`: the name of the horizontal axis
   * - `log`: whether the vertical axis is logarithmic
   * - `formatX(x)`, `formatY(y)`
   */
  constructor(options, signal) {
    this.options = { formatX: figure, formatY: figure, log: false, ...options };
    this.series = [];
    this.marks = [];
    this.hidden = new Set();
    this.at = null;
    this.svg = s('svg', { role: 'img', 'aria-label': options.label });
    this.readout = h('p', { class: 'readout', 'aria-live': 'polite' });
    this.legend = h('div', { class: 'legend' });
    this.table = h('table', {});
    this.details = h('details', { class: 'numbers' }, h('summary', {}, 'The numbers as a table'), h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${options.label}: numbers` }, this.table));
    this.area = h('div', { class: 'plot', tabindex: 0, role: 'group', 'aria-label': `${options.label}. Arrow keys read it point by point.` }, this.svg);
    this.element = h('div', { class: 'chart' }, this.legend, this.area, this.readout, this.details);
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.area);
    signal.addEventListener('abort', () => this.observer.disconnect());
    this.area.addEventListener('pointermove', (event) => this.#point(event));
    this.area.addEventListener('pointerleave', () => this.#read(null));
    this.area.addEventListener('keydown', (event) => this.#key(event));
    this.details.addEventListener('toggle', () => this.#tabulate());
  }

  /**
   * Shows `series`, each `{ name, values }` with a value or null for each of `xs`. `phases` has the
   * number of the phase of each; where one begins, lines break.
   */
  show(xs, series, phases = []) {
    const marks = phases.flatMap((phase, index) => (index > 0 && phase !== phases[index - 1] ? [{ index, text: `phase ${phase}` }] : []));
    Object.assign(this, { xs, series, marks });
    if (this.at !== null && this.at >= xs.length) this.at = null;
    this.#drawLegend();
    this.#draw();
    this.#tabulate();
  }

  #visible() {
    return this.series.filter((line) => !this.hidden.has(line.name));
  }

  #drawLegend() {
    const names = this.series.map((line) => line.name).join('\n');
    if (this.names === names) return;
    this.names = names;
    fill(this.legend, ...this.series.map((line, place) => {
      const button = h('button', { type: 'button', class: `series s${place % 9}`, 'aria-pressed': !this.hidden.has(line.name) }, line.name);
      button.addEventListener('click', () => {
        if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
        button.setAttribute('aria-pressed', !this.hidden.has(line.name));
        this.#draw();
      });
      return button;
    }));
  }

  #scales() {
    const width = Math.max(120, this.area.clientWidth);
    const { log } = this.options;
    let [low, high] = [Infinity, -Infinity];
    for (const { values } of this.#visible()) {
      for (const value of values) {
        if (!Number.isFinite(value) || (log && value <= 0)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    if (low > high) [low, high] = log ? [1, 10] : [0, 1];
    if (log) {
      // Terms that count for nothing would squeeze those that do.
      low = Math.max(low, high * 1e-7) / 1.15;
      high *= 1.15;
    } else {
      [low, high] = [0, Math.max(high * 1.08, 1)];
    }
    const of = log ? Math.log10 : (value) => value;
    const [bottom, top] = [of(low), of(high)];
    const [first, last] = [this.xs[0] ?? 0, this.xs.at(-1) ?? 1];
    const across = width - MARGIN.left - MARGIN.right;
    const up = HEIGHT - MARGIN.top - MARGIN.bottom;
    return {
      width,
      low,
      high,
      x: (value) => MARGIN.left + (last > first ? (value - first) / (last - first) : 0.5) * across,
      y: (value) => MARGIN.top + (1 - (of(Math.max(value, low)) - bottom) / (top - bottom || 1)) * up,
    };
  }

  #draw() {
    if (!this.xs || !this.area.isConnected) return;
    const scales = this.#scales();
    this.scales = scales;
    const { svg } = this;
    svg.setAttribute('viewBox', `0 0 ${scales.width} ${HEIGHT}`);
    svg.setAttribute('height', HEIGHT);
    const right = scales.width - MARGIN.right;
    const floor = HEIGHT - MARGIN.bottom;
    const parts = [];
    for (const value of this.options.log ? powers(scales.low, scales.high) : ticks(scales.high)) {
      const y = scales.y(value);
      parts.push(s('line', { class: 'grid', x1: MARGIN.left, x2: right, y1: y, y2: y }));
      parts.push(s('text', { x: MARGIN.left - 6, y: y + 4, 'text-anchor': 'end' }, this.options.log ? tick(value) : count(value)));
    }
    if (this.xs.length > 0) {
      parts.push(s('text', { x: MARGIN.left, y: HEIGHT - 6 }, this.options.formatX(this.xs[0])));
      parts.push(s('text', { x: right, y: HEIGHT - 6, 'text-anchor': 'end' }, `${this.options.formatX(this.xs.at(-1))} ${this.options.x}`));
    }
    for (const { index, text } of this.marks) {
      const x = scales.x(this.xs[index]);
      parts.push(s('line', { class: 'mark', x1: x, x2: x, y1: MARGIN.top, y2: floor }));
      parts.push(s('text', { x: x + 4, y: MARGIN.top + 10 }, text));
    }
    this.series.forEach(({ name, values }, place) => {
      if (this.hidden.has(name)) return;
      parts.push(s('path', { class: `line s${place % 9}`, d: this.#line(values, scales) }));
    });
    this.cursor = s('line', { class: 'cursor', y1: MARGIN.top, y2: floor, visibility: 'hidden' });
    svg.replaceChildren(...parts, this.cursor);
    if (this.at !== null) this.#read(this.at);
  }

  // Where points are denser than pixels, the least and the most of each pixel are drawn.
  #line(values, scales) {
    const breaks = new Set(this.marks.map((mark) => mark.index));
    let path = '';
    let pen = 'M';
    let column = null;
    const flush = () => {
      if (!column) return;
      for (const y of column.low === column.high ? [column.last] : [column.low, column.high, column.last]) {
        path += `${pen}${column.x} ${y.toFixed(1)}`;
        pen = 'L';
      }
      column = null;
    };
    values.forEach((value, index) => {
      const drawn = Number.isFinite(value) && !(this.options.log && value <= 0);
      if (!drawn || breaks.has(index)) {
        flush();
        pen = 'M';
      }
      if (!drawn) return;
      const x = Math.round(scales.x(this.xs[index]) * 2) / 2;
      const y = scales.y(value);
      if (column?.x !== x) {
        flush();
        column = { x, low: y, high: y, last: y };
      }
      column.low = Math.min(column.low, y);
      column.high = Math.max(column.high, y);
      column.last = y;
    });
    flush();
    return path;
  }

  #point(event) {
    if (!this.scales || this.xs.length === 0) return;
    const x = event.clientX - this.area.getBoundingClientRect().left;
    let best = 0;
    this.xs.forEach((value, index) => {
      if (Math.abs(this.scales.x(value) - x) <= Math.abs(this.scales.x(this.xs[best]) - x)) best = index;
    });
    this.#read(best);
  }

  #key(event) {
    if (!this.xs?.length || event.target !== this.area) return;
    const last = this.xs.length - 1;
    const at = this.at ?? last;
    const page = Math.max(1, Math.round(last / 10));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - page, PageDown: at + page, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#read(Math.min(last, Math.max(0, this.at === null ? last : to)));
  }

  #read(index) {
    this.at = index;
    if (index === null) {
      this.cursor?.setAttribute('visibility', 'hidden');
      fill(this.readout);
      return;
    }
    const x = this.scales.x(this.xs[index]);
    this.cursor.setAttribute('visibility', 'visible');
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
    const values = this.#visible().map(({ name, values: all }) => `${name} ${this.options.formatY(all[index])}`);
    fill(this.readout, h('b', {}, `${this.options.formatX(this.xs[index])} ${this.options.x}`.trim()), ` ${values.join(' · ')}`);
  }

  #tabulate() {
    if (!this.details.open || !this.xs) return;
    const every = Math.max(1, Math.ceil(this.xs.length / TABLE_ROWS));
    const rows = [];
    this.xs.forEach((x, index) => {
      if (index % every && index !== this.xs.length - 1) return;
      const cells = this.series.map(({ values }) => h('td', {}, this.options.formatY(values[index])));
      rows.push(h('tr', {}, h('th', { scope: 'row' }, this.options.formatX(x)), ...cells));
    });
    const heads = [this.options.x || 'time', ...this.series.map(({ name }) => name)];
    fill(this.table, h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, ...rows));
  }
}

function tick(value) {
  return value >= 1e4 || value < 1e-3 ? value.toExponential(0).replace('+', '') : String(Number(value.toPrecision(3)));
}

// 1, 10, 100 …; where those are few, also 2 and 5 times them.
function powers(low, high) {
  const found = [];
  const decades = Math.log10(high / low);
  const factors = decades < 2 ? [1, 2, 5] : [1];
  const step = Math.max(1, Math.ceil(decades / 6));
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    if (power % step) continue;
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

function ticks(high) {
  const rough = high / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough));
  const found = [];
  for (let value = 0; value <= high; value += step) found.push(value);
  return found;
}
