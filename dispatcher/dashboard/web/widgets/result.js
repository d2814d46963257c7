// One result of a batch, in a list or in a grid.

import { cancelJob, retryJob } from '../actions.js';
import { h, setAttribute, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { count, duration, now } from '../format.js';
import { hash, picture, setPicture } from './parts.js';
import { progressBar, setProgress, setState, stateMark } from './states.js';

/** An empty element for a result, which `updateResult` fills. */
export function createResult() {
  const element = h('div', { class: 'item result' });
  const image = picture();
  const parts = {
    image,
    frame: h('a', { class: 'picture', tabindex: -1, 'aria-hidden': 'true' }, image),
    name: h('a', { class: 'name' }),
    state: stateMark(),
    stuck: h('span', { class: 'stuck', hidden: true }),
    detail: h('span', { class: 'detail' }),
    bar: progressBar(),
    reason: h('p', { class: 'reason' }),
    retry: h('button', { type: 'button' }, 'Retry'),
    cancel: h('button', { type: 'button' }, 'Cancel'),
  };
  parts.retry.addEventListener('click', () => retryJob(element.result.job));
  parts.cancel.addEventListener('click', () => cancelJob(element.result.job, element.result.name));
  element.parts = parts;
  element.append(
    parts.frame,
    h('div', { class: 'body' }, parts.name, h('div', { class: 'meta' }, parts.state, parts.stuck, parts.detail), parts.bar, parts.reason),
    h('div', { class: 'actions' }, parts.retry, parts.cancel),
  );
  return element;
}

/** Shows a result in its element. */
export function updateResult(element, result) {
  const { parts } = element;
  element.result = result;
  const address = hash(['jobs', result.job]);
  parts.frame.href = address;
  parts.name.href = address;
  setText(parts.name, result.name);
  parts.name.title = result.name;
  // Once finished, the picture itself; until then, how it looks by now.
  setPicture(parts.image, result.thumbnail ?? result.preview);
  setState(parts.state, result.state);
  const runs = result.state === 'running';
  const since = result.since && now() / 1000 - result.since;
  parts.stuck.hidden = !result.stuck;
  setText(parts.stuck, since ? `stuck, ${duration(since)}` : 'stuck');
  setText(parts.detail, runs ? detail(result) : '');
  setProgress(parts.bar, runs ? result.progress : null);
  setText(parts.reason, result.reason ?? '');
  parts.reason.title = result.reason ?? '';
  const { offersActions } = fleet;
  parts.retry.hidden = !offersActions || result.state !== 'failed';
  parts.cancel.hidden = !offersActions || !['running', 'waiting', 'stopped'].includes(result.state);
  setAttribute(parts.retry, 'aria-label', `Retry ${result.name}`);
  setAttribute(parts.cancel, 'aria-label', `Cancel ${result.name}`);
}

function detail({ progress, worker }) {
  const parts = [];
  if (progress) {
    const counted = progress.unit === 'frames' ? 'frame ' : '';
    parts.push(`${counted}${count(progress.done)}/${count(progress.total)}`);
    if (Number.isFinite(progress.seconds_left)) parts.push(`${duration(progress.seconds_left)} left`);
  }
  if (worker) parts.push(worker);
  return parts.join(' · ');
}
