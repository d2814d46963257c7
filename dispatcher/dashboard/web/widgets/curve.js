// How the loss of a job falls, by term; what its worker tells is added to what the server has.

import { get, path } from '../api.js';
import { h } from '../dom.js';
import { Chart } from './chart.js';

export class Curve {
  constructor(job, signal) {
    this.job = job;
    this.signal = signal;
    this.chart = new Chart({ label: 'Loss', x: 'steps', log: true }, signal);
    this.problem = h('p', { class: 'note' });
    this.element = h('div', {}, this.chart.element, this.problem);
    this.phases = [];
    this.steps = [];
    this.lines = new Map();
  }

  /** Fetches the curve as it is now. */
  async load() {
    try {
      const curve = await get(path('jobs', this.job, 'curve'), {}, this.signal);
      this.phases = [...curve.phase];
      this.steps = [...curve.steps];
      this.lines = new Map();
      for (const [name, values] of Object.entries(curve.figures)) {
        const term = termOf(name);
        if (term) this.lines.set(term, [...values]);
      }
      this.problem.textContent = '';
    } catch (error) {
      if (error.name !== 'AbortError') this.problem.textContent = error.message;
    }
    this.#show();
  }

  /** Adds what a worker tells of its job. */
  add(progress) {
    const { steps, figures, phase } = progress;
    if (!Number.isFinite(figures?.loss) || steps <= (this.steps.at(-1) ?? -1)) return;
    const began = this.phase !== undefined && this.phase !== phase;
    this.phase = phase;
    this.phases.push((this.phases.at(-1) ?? 1) + (began ? 1 : 0));
    this.steps.push(steps);
    for (const name of Object.keys(figures)) {
      const term = termOf(name);
      if (!term) continue;
      if (!this.lines.has(term)) this.lines.set(term, Array(this.steps.length - 1).fill(null));
      this.lines.get(term).push(figures[name]);
    }
    for (const values of this.lines.values()) {
      if (values.length < this.steps.length) values.push(null);
    }
    this.#show();
  }

  #show() {
    const series = [...this.lines].map(([name, values]) => ({ name, values }));
    this.chart.show(this.steps, series, this.phases);
  }
}

// loss is the whole, loss.content a term of it; other figures are no part of it.
function termOf(name) {
  if (name === 'loss') return name;
  return name.startsWith('loss.') ? name.slice('loss.'.length) : null;
}
