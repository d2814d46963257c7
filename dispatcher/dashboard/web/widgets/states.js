// States of jobs: a colour, a shape and a word each, and bars of them.

import { h, s, setText } from '../dom.js';
import { count } from '../format.js';

/** In the order of a bar: what is over, what is under way, what waits. */
export const STATES = ['done', 'failed', 'cancelled', 'running', 'stopped', 'waiting', 'not-accepted'];

const SHAPES = {
  done: 'M3 8.5l3.5 3.5L13 4.5',
  failed: 'M4 4l8 8M12 4l-8 8',
  cancelled: 'M3 8h10',
  running: 'M5 3l8 5-8 5z',
  stopped: 'M5.5 3v10M10.5 3v10',
  waiting: 'M8 4v4l3 2M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12',
  'not-accepted': 'M5.5 6a2.5 2.5 0 1 1 3.5 2.3q-1 .5-1 1.7M8 12.5v.5',
};

/** The word for a state. */
export function word(state) {
  return state === 'not-accepted' ? 'not accepted' : state;
}

/** A state as a mark and its word; `setState` changes it. */
export function stateMark(state) {
  const mark = h('span', { class: 'state' }, s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('path')), h('span'));
  if (state) setState(mark, state);
  return mark;
}

/** Shows another state in a mark. */
export function setState(mark, state) {
  if (mark.dataset.state === state) return;
  mark.dataset.state = state;
  mark.querySelector('path').setAttribute('d', SHAPES[state] ?? SHAPES.waiting);
  setText(mark.lastElementChild, word(state));
}

/** How many of `states` there are. */
export function countOf(states, state) {
  return states[state.replace('-', '_')] ?? 0;
}

/** How many are over, whatever became of them. */
export function over(states) {
  return states.done + states.failed + states.cancelled;
}

/** A bar with a part for each state. */
export function statesBar() {
  const parts = STATES.map((state) => h('span', { 'data-state': state }));
  return h('span', { class: 'bar', role: 'img' }, ...parts);
}

/** Shows these counts in a bar. */
export function setStates(bar, states, total) {
  const words = [];
  for (const part of bar.children) {
    const number = countOf(states, part.dataset.state);
    part.hidden = number === 0;
    part.style.setProperty('flex-grow', number);
    if (number > 0) words.push(`${count(number)} ${word(part.dataset.state)}`);
  }
  bar.setAttribute('aria-label', `Of ${count(total)}: ${words.join(', ') || 'nothing yet'}`);
  bar.title = words.join(', ');
}

/** A bar of how far one job is. */
export function progressBar() {
  return h('span', { class: 'bar thin', role: 'progressbar', 'aria-label': 'Progress', 'aria-valuemin': 0, 'aria-valuemax': 100 }, h('span', { 'data-state': 'running' }));
}

/** Shows progress in a bar, or hides it where there is none. */
export function setProgress(bar, progress) {
  bar.hidden = !progress;
  if (!progress) return;
  const share = progress.total > 0 ? Math.min(100, (100 * progress.done) / progress.total) : 0;
  bar.firstElementChild.style.setProperty('width', `${share}%`);
  bar.setAttribute('aria-valuenow', Math.round(share));
}
