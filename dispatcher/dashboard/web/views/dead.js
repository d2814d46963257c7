// Jobs that were given up, with their reasons: to retry or to drop, one, several or all.

import { dropDead, retryDead } from '../actions.js';
import { events, get } from '../api.js';
import { atMostEach, h, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { ago, count, plural } from '../format.js';
import { WindowedList, pagesOf } from '../widgets/list.js';
import { hash, onNarrow, problemLine, viewHeader } from '../widgets/parts.js';

const SINCE = { done: 'done since', cancelled: 'cancelled since', 'handed-in-again': 'submitted again since' };

export function deadView({ main, signal }) {
  const [problem, tell] = problemLine();
  const empty = h('p', { class: 'empty', hidden: true }, 'There are no dead letters.');
  const number = h('span', { class: 'note' });
  const chosen = new Set();
  let letters = [];

  const all = h('input', { type: 'checkbox' });
  const words = h('span', { role: 'status' });
  const retry = h('button', { type: 'button' });
  const drop = h('button', { type: 'button', class: 'danger' });
  const toolbar = h('div', { class: 'toolbar' }, h('label', {}, all, ' All'), words, h('span', { class: 'buttons' }, retry, drop));
  const which = () => (chosen.size === 0 ? { all: true } : { ids: [...chosen] });
  // The broker's counts lag behind: what was done here is looked at by itself.
  const act = {
    retry: (which) => retryDead(which).then(() => reload()),
    drop: (which, number) => dropDead(which, number).then(() => reload()),
  };
  retry.addEventListener('click', () => act.retry(which()));
  drop.addEventListener('click', () => act.drop(which(), chosen.size || letters.length));

  const choose = (id, on) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    showChosen();
  };
  const showChosen = () => {
    all.checked = letters.length > 0 && chosen.size === letters.length;
    all.indeterminate = chosen.size > 0 && !all.checked;
    const what = chosen.size === 0 ? 'all' : count(chosen.size);
    setText(words, chosen.size ? `${count(chosen.size)} chosen` : '');
    setText(retry, `Retry ${what}`);
    setText(drop, `Drop ${what}`);
    toolbar.hidden = !fleet.offersActions || letters.length === 0;
  };
  const height = (narrow) => (narrow ? 132 : 84);
  const list = new WindowedList({
    label: 'Dead letters',
    height: height(onNarrow((narrow) => list.resize(height(narrow)), signal)),
    key: (letter) => letter.id,
    create: () => createLetter(choose, act),
    update: (element, letter) => updateLetter(element, letter, chosen),
    fetchPage: (offset, limit) => pagesOf(letters)(offset, limit),
  }, signal);
  all.addEventListener('change', () => {
    chosen.clear();
    if (all.checked) for (const { id } of letters) chosen.add(id);
    showChosen();
    list.refresh();
  });
  const load = async () => {
    try {
      ({ dead: letters } = await get('api/dead', {}, signal));
      const known = new Set(letters.map(({ id }) => id));
      for (const id of chosen) if (!known.has(id)) chosen.delete(id);
      empty.hidden = letters.length > 0;
      setText(number, letters.length ? plural(letters.length, 'letter') : '');
      showChosen();
      await list.reload();
      tell(null);
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  const reload = atMostEach(1000, load);
  let known = fleet.document?.waiting?.dead;
  events.addEventListener('fleet', ({ detail }) => {
    if (detail.waiting?.dead !== known) reload();
    known = detail.waiting?.dead;
  }, { signal });
  main.append(viewHeader('Dead letters', number), problem, empty, toolbar, list.element);
  return { title: 'Dead letters', list, reload, ready: load() };
}

function createLetter(choose, act) {
  const element = h('div', { class: 'item letter' });
  const parts = {
    check: h('input', { type: 'checkbox' }),
    name: h('a', { class: 'name' }),
    batch: h('a', {}),
    notes: h('span', {}),
    when: h('span', {}),
    reason: h('p', { class: 'reason' }),
    retry: h('button', { type: 'button' }, 'Retry'),
    drop: h('button', { type: 'button' }, 'Drop'),
  };
  const id = () => element.letter.id;
  parts.check.addEventListener('change', () => choose(id(), parts.check.checked));
  parts.retry.addEventListener('click', () => act.retry({ ids: [id()] }));
  parts.drop.addEventListener('click', () => act.drop({ ids: [id()] }, 1));
  element.parts = parts;
  element.append(
    h('label', { class: 'check' }, h('span', { class: 'hidden' }, 'Choose'), parts.check),
    h('div', { class: 'body' }, parts.name, parts.reason, h('span', { class: 'notes' }, parts.batch, parts.notes, parts.when)),
    h('div', { class: 'actions' }, parts.retry, parts.drop),
  );
  return element;
}

function updateLetter(element, letter, chosen) {
  const { parts } = element;
  element.letter = letter;
  const name = letter.name ?? letter.id.slice(0, 12);
  parts.name.href = hash(['jobs', letter.id]);
  setText(parts.name, name);
  parts.batch.hidden = !letter.batch;
  parts.batch.href = hash(['batches', letter.batch ?? '']);
  setText(parts.batch, letter.batch ?? '');
  const notes = [letter.attempt && `attempt ${letter.attempt}`, letter.worker, letter.letters > 1 && `${letter.letters} letters`, SINCE[letter.since]];
  setText(parts.notes, notes.filter(Boolean).join(' · '));
  parts.when.replaceChildren(...(letter.unix_seconds ? [ago(letter.unix_seconds)] : []));
  setText(parts.reason, letter.reason ?? '');
  parts.reason.title = letter.reason ?? '';
  parts.check.checked = chosen.has(letter.id);
  parts.check.setAttribute('aria-label', `Choose ${name}`);
  parts.retry.setAttribute('aria-label', `Retry ${name}`);
  parts.drop.setAttribute('aria-label', `Drop ${name}`);
  const { offersActions } = fleet;
  for (const part of [parts.check, parts.retry, parts.drop]) part.hidden = !offersActions;
}
