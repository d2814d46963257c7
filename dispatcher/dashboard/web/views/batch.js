// A batch: its results, to filter, search, retry and cancel.

import { cancelBatch, cancelWaiting, retryBatch } from '../actions.js';
import { events, get, path } from '../api.js';
import { atMostEach, fill, h, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { ago, count, plural } from '../format.js';
import { toast } from '../widgets/dialogs.js';
import { WindowedList } from '../widgets/list.js';
import { hash, onNarrow, problemLine, viewHeader } from '../widgets/parts.js';
import { createResult, updateResult } from '../widgets/result.js';
import { STATES, countOf, over, setStates, stateMark, statesBar } from '../widgets/states.js';
import { pace, share } from './batches.js';

const LAYOUT = 'stylefleet-layout';

export function batchView({ main, parts: [, name], query, signal }) {
  const state = STATES.includes(query.get('state')) ? query.get('state') : null;
  const [problem, tell] = problemLine();
  const header = batchHeader(name);
  const filters = stateFilters(name, state);
  const shown = h('span', { class: 'note', role: 'status' });
  const search = h('input', { type: 'search', value: query.get('q') ?? '', placeholder: 'Name or id', 'aria-label': 'Search this batch by name or id', autocomplete: 'off', spellcheck: 'false' });
  const layouts = layoutButtons(() => lay());
  let narrow = onNarrow((now) => {
    narrow = now;
    lay();
  }, signal);

  const list = new WindowedList({
    label: `Results of ${name}`,
    key: (result) => result.job + result.name,
    create: createResult,
    update: updateResult,
    fetchPage: async (offset, limit, abort) => {
      const answer = await get(path('batches', name, 'results'), { offset, limit, state: state, q: search.value.trim() }, abort);
      return { total: answer.total, items: answer.results };
    },
    onTotal: (total) => setText(shown, plural(total, 'result')),
    onError: tell,
  }, signal);
  const lay = () => {
    const grid = layouts.chosen() === 'grid';
    list.element.classList.toggle('grid', grid);
    list.element.classList.toggle('rows', !grid);
    if (grid) list.resize(narrow ? 188 : 222, narrow ? 150 : 210);
    else list.resize(narrow ? 116 : 76, null);
  };
  lay();

  const load = async () => {
    try {
      show(await get(path('batches', name), {}, signal));
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  let was = null;
  const show = (batch) => {
    header.show(batch);
    filters.show(batch);
    const isOver = over(batch.states) >= batch.results;
    if (was === false && isOver) toast(`${name} is over: ${count(batch.states.done)} done, ${count(batch.states.failed)} failed.`);
    was = isOver;
  };
  const reload = atMostEach(2000, () => list.reload());
  const isFiltered = () => state !== null || search.value.trim() !== '';

  events.addEventListener('batch', ({ detail }) => {
    if (detail.batch !== name) return;
    show(detail);
    // The page may have been opened before the dashboard knew of the batch.
    if (list.total === null || (!isFiltered() && list.total !== detail.results)) reload();
  }, { signal });
  events.addEventListener('result', ({ detail }) => {
    if (detail.batch !== name) return;
    const before = list.find(detail.job + detail.name);
    list.replace(detail);
    // Which results a filter shows has changed, then.
    if (isFiltered() && before?.state !== detail.state) reload();
  }, { signal });
  search.addEventListener('input', atMostEach(250, () => {
    history.replaceState(null, '', hash(['batches', name], { state, q: search.value.trim() }));
    return list.reload({ clear: true });
  }));

  main.append(header.element, problem, filters.element, h('div', { class: 'toolbar' }, search, shown, layouts.element), list.element);
  const reloadAll = () => Promise.all([load(), list.reload()]);
  return { title: name, list, reload: reloadAll, ready: reloadAll() };
}

function batchHeader(name) {
  const numbers = h('span', { class: 'share large' });
  const rate = h('span', { class: 'note' });
  const when = h('span', { class: 'note' });
  const bar = statesBar();
  const retry = h('button', { type: 'button', hidden: true, on: { click: () => retryBatch(name) } });
  const waiting = h('button', { type: 'button', hidden: true }, 'Cancel what waits');
  const all = h('button', { type: 'button', class: 'danger', hidden: true }, 'Cancel all');
  let batch = null;
  const waits = () => batch.states.waiting + batch.states.stopped + batch.states.not_accepted;
  waiting.addEventListener('click', () => cancelWaiting(name, waits()));
  all.addEventListener('click', () => cancelBatch(name, waits() + batch.states.running));
  const element = h('div', {}, viewHeader(name, when, h('span', { class: 'buttons' }, retry, waiting, all)), h('div', { class: 'overall' }, numbers, bar, rate));
  const show = (now) => {
    batch = now;
    setText(numbers, share(batch));
    setText(rate, pace(batch));
    if (!when.hasChildNodes()) fill(when, ago(batch.unix_seconds));
    setStates(bar, batch.states, batch.results);
    const acts = fleet.offersActions;
    retry.hidden = !acts || batch.states.failed === 0;
    setText(retry, `Retry ${count(batch.states.failed)} failed`);
    waiting.hidden = !acts || waits() === 0;
    all.hidden = !acts || waits() + batch.states.running === 0;
  };
  return { element, show };
}

function stateFilters(name, chosen) {
  const links = [null, ...STATES].map((state) => {
    const number = h('b', {});
    const label = state ? stateMark(state) : 'All';
    const link = h('a', { href: hash(['batches', name], { state }), 'data-focus': `state-${state}`, 'aria-current': state === chosen ? 'true' : null }, label, number);
    return { state, link, number };
  });
  const show = (batch) => {
    for (const { state, link, number } of links) {
      const of = state ? countOf(batch.states, state) : batch.results;
      setText(number, count(of));
      link.hidden = of === 0 && state !== chosen && state !== null;
    }
  };
  return { element: h('nav', { class: 'filters', 'aria-label': 'Results by state' }, ...links.map(({ link }) => link)), show };
}

function layoutButtons(changed) {
  let chosen = 'grid';
  try {
    chosen = localStorage.getItem(LAYOUT) === 'list' ? 'list' : 'grid';
  } catch {
    // A browser that keeps nothing begins with the grid.
  }
  const buttons = ['grid', 'list'].map((layout) => h('button', { type: 'button', 'aria-pressed': layout === chosen }, layout === 'grid' ? 'Grid' : 'List'));
  buttons.forEach((button, place) => button.addEventListener('click', () => {
    chosen = place === 0 ? 'grid' : 'list';
    buttons.forEach((other) => other.setAttribute('aria-pressed', other === button));
    try {
      localStorage.setItem(LAYOUT, chosen);
    } catch {
      // As above.
    }
    changed();
  }));
  return { element: h('span', { class: 'switch', role: 'group', 'aria-label': 'Layout' }, ...buttons), chosen: () => chosen };
}
