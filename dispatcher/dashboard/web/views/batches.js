// All batches, newest first.

import { events, get } from '../api.js';
import { atMostEach, fill, h, setText } from '../dom.js';
import { ago, count, duration, figure, plural } from '../format.js';
import { WindowedList } from '../widgets/list.js';
import { hash, onNarrow, picture, problemLine, setPicture, viewHeader } from '../widgets/parts.js';
import { over, setStates, statesBar } from '../widgets/states.js';

export function batchesView({ main, signal }) {
  const [problem, tell] = problemLine();
  const damaged = h('div', {});
  const empty = h('p', { class: 'empty', hidden: true }, 'There are no batches yet. ', h('a', { href: '#/new' }, 'Submit the first one'), '.');
  const total = h('span', { class: 'note' });
  const height = (narrow) => (narrow ? 112 : 76);
  const list = new WindowedList({
    label: 'Batches',
    height: height(onNarrow((narrow) => list.resize(height(narrow)), signal)),
    key: (batch) => batch.batch,
    create: createBatch,
    update: updateBatch,
    fetchPage: async (offset, limit, abort) => {
      const answer = await get('api/batches', { offset, limit }, abort);
      if (offset === 0) fill(damaged, ...answer.damaged.map(damagedLine));
      return { total: answer.total, items: answer.batches };
    },
    onTotal: (number) => {
      empty.hidden = number > 0;
      setText(total, plural(number, 'batch', 'batches'));
    },
    onError: tell,
  }, signal);
  const reload = atMostEach(1000, () => list.reload());
  events.addEventListener('batch', ({ detail }) => list.replace(detail) || reload(), { signal });
  events.addEventListener('changed', ({ detail }) => detail.batches && reload(), { signal });
  main.append(viewHeader('Batches', total), problem, damaged, empty, list.element);
  return { title: 'Batches', list, reload, ready: list.reload() };
}

function damagedLine({ batch, reason }) {
  return h('p', { class: 'error' }, `${batch}: ${reason}`);
}

/** An empty element for a batch, which `updateBatch` fills. */
export function createBatch() {
  const element = h('div', { class: 'item batch' });
  const image = picture();
  const parts = {
    image,
    frame: h('a', { class: 'picture', tabindex: -1, 'aria-hidden': 'true' }, image),
    name: h('a', { class: 'name' }),
    kind: h('span', { class: 'note' }),
    when: h('span', { class: 'note when' }),
    share: h('span', { class: 'share' }),
    bar: statesBar(),
    rate: h('span', { class: 'note rate' }),
    failed: h('a', { class: 'failed-count', hidden: true }),
  };
  element.parts = parts;
  element.append(
    parts.frame,
    h('div', { class: 'body' }, parts.name, h('span', { class: 'notes' }, parts.kind, parts.when)),
    h('div', { class: 'far' }, h('span', { class: 'line' }, parts.share, parts.failed, parts.rate), parts.bar),
  );
  return element;
}

/** Shows a batch in its element. */
export function updateBatch(element, batch) {
  const { parts } = element;
  const address = hash(['batches', batch.batch]);
  parts.frame.href = address;
  parts.name.href = address;
  parts.name.title = batch.batch;
  setText(parts.name, batch.batch);
  setText(parts.kind, batch.kinds.join(', '));
  fill(parts.when, ago(batch.unix_seconds));
  setPicture(parts.image, batch.thumbnail);
  setText(parts.share, share(batch));
  setStates(parts.bar, batch.states, batch.results);
  setText(parts.rate, pace(batch));
  parts.failed.hidden = batch.states.failed === 0;
  parts.failed.href = hash(['batches', batch.batch], { state: 'failed' });
  setText(parts.failed, `${count(batch.states.failed)} failed`);
}

/** 37/50 */
export function share(batch) {
  return `${count(over(batch.states))}/${count(batch.results)}`;
}

/** How fast a batch gets on, and how long it will take. */
export function pace(batch) {
  const parts = [];
  if (over(batch.states) >= batch.results) return '';
  if (batch.video) parts.push(`${count(batch.video.done)} of ${plural(batch.video.total, 'frame')}, ${plural(batch.video.workers, 'worker')}`);
  else if (batch.finished_per_hour) parts.push(`${figure(Math.round(batch.finished_per_hour))} an hour`);
  if (Number.isFinite(batch.seconds_left)) parts.push(`${duration(batch.seconds_left)} left`);
  return parts.join(' · ');
}
