// Submitting: drop pictures, choose styles and the look, try it small, submit.

import { events, get, path, post, upload } from '../api.js';
import { atMostEach, fill, h, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { plural } from '../format.js';
import { toast } from '../widgets/dialogs.js';
import { WindowedList, pagesOf } from '../widgets/list.js';
import { hash, picture, problemLine, setPicture, viewHeader } from '../widgets/parts.js';
import { createResult, updateResult } from '../widgets/result.js';
import { Uploads, filesOf } from '../widgets/uploads.js';
import { Dials } from './dials.js';

// What a preview is made with: small and soon over.
const PREVIEW = { size: '192', evaluations: '30', coarse_evaluations: '30' };
const PREVIEW_CONTENTS = 1;
const PREVIEW_EVERY = 10;

// What was dropped and chosen stays while other views are looked at.
const contents = new Uploads();
const styles = new Uploads();
const draft = { offered: new Set(), blend: false, name: '', every: '', priority: 'normal', preset: null, parameters: {} };

export function newView({ main, signal }) {
  const [problem, tell] = problemLine();
  const form = h('div', { class: 'new' });
  main.append(viewHeader('New batch'), problem, form);
  if (!fleet.may('submit') && !fleet.document?.needs_token) {
    form.append(h('p', { class: 'empty' }, 'This dashboard only shows: it was started without the right to submit.'));
    return { title: 'New batch' };
  }
  const load = async () => {
    try {
      const options = await get('api/options', {}, signal);
      draft.preset ??= options.presets[0]?.name ?? null;
      fill(form, ...sections(options, signal));
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  return { title: 'New batch', ready: load() };
}

function sections(options, signal) {
  const submit = submitSection(options, signal);
  const changed = () => submit.show();
  contents.addEventListener('change', changed, { signal });
  styles.addEventListener('change', changed, { signal });
  const dials = new Dials(options, draft);
  dials.addEventListener('change', changed, { signal });
  const pictures = h('section', {}, h('h2', {}, 'Pictures'), dropZone(contents, 'Drop pictures or folders here', signal), uploadList(contents, 'Pictures', signal));
  const offered = options.styles.map((style) => styleTile(style, changed));
  const looks = h(
    'section',
    {},
    h('h2', {}, 'Styles'),
    offered.length > 0 && h('div', { class: 'tiles', role: 'group', 'aria-label': 'Styles that are offered' }, ...offered),
    dropZone(styles, 'Drop styles of your own here', signal),
    uploadList(styles, 'Styles of your own', signal),
    check('Blend all styles into one picture', draft.blend, (on) => {
      draft.blend = on;
      changed();
    }),
  );
  changed();
  return [pictures, looks, h('section', {}, h('h2', {}, 'Look'), dials.element), submit.element];
}

function dropZone(uploads, words, signal) {
  const input = h('input', { type: 'file', multiple: true, accept: 'image/*,.tif,.tiff,.heic,.heif,.jxl', class: 'hidden', 'aria-label': words });
  const zone = h('label', { class: 'drop' }, input, h('span', {}, words), h('span', { class: 'note' }, 'or choose files'));
  const take = (files) => {
    const passedOver = uploads.add(files);
    if (passedOver > 0) toast(`${plural(passedOver, 'file')} passed over: no pictures.`);
  };
  input.addEventListener('change', () => {
    take([...input.files]);
    input.value = '';
  });
  const over = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle('over', on);
  };
  zone.addEventListener('dragover', over(true));
  zone.addEventListener('dragleave', over(false));
  zone.addEventListener('drop', async (event) => {
    over(false)(event);
    take(await filesOf(event.dataTransfer));
  });
  // A drop that misses would have the browser show the file in place of the page.
  for (const kind of ['dragover', 'drop']) {
    document.addEventListener(kind, (event) => event.preventDefault(), { signal });
  }
  return zone;
}

function uploadList(uploads, label, signal) {
  const note = h('span', { class: 'note', role: 'status' });
  const clear = h('button', { type: 'button', on: { click: () => uploads.clear() } }, 'Remove all');
  const retry = h('button', { type: 'button', on: { click: () => uploads.retry() } }, 'Try failed ones again');
  const toolbar = h('div', { class: 'toolbar' }, note, h('span', { class: 'buttons' }, retry, clear));
  const list = new WindowedList({
    label,
    height: 150,
    width: 140,
    key: (item) => item,
    create: () => createUpload(uploads),
    update: updateUpload,
    fetchPage: (offset, limit) => pagesOf(uploads.items)(offset, limit),
  }, signal);
  list.element.classList.add('grid');
  const show = atMostEach(200, () => {
    const { items } = uploads;
    const failed = items.filter(({ state }) => state === 'failed').length;
    toolbar.hidden = items.length === 0;
    retry.hidden = failed === 0;
    setText(note, `${uploads.done.length} of ${plural(items.length, 'picture')} uploaded${failed ? `, ${failed} failed` : ''}`);
    return list.reload();
  });
  uploads.addEventListener('change', show, { signal });
  show();
  return h('div', {}, toolbar, list.element);
}

function createUpload(uploads) {
  const element = h('div', { class: 'item upload' });
  const image = picture();
  const remove = h('button', { type: 'button', class: 'icon', on: { click: () => uploads.remove(element.upload) } }, '×');
  element.parts = { image, name: h('span', { class: 'name' }), note: h('span', { class: 'note' }), remove };
  element.append(h('span', { class: 'picture' }, image), element.parts.name, element.parts.note, remove);
  return element;
}

function updateUpload(element, item) {
  const { parts } = element;
  element.upload = item;
  setPicture(parts.image, item.url);
  setText(parts.name, item.name);
  parts.name.title = item.name;
  setText(parts.note, item.state === 'done' ? `${item.width}×${item.height}` : (item.reason ?? item.state));
  parts.note.title = item.reason ?? '';
  parts.note.classList.toggle('bad', item.state === 'failed');
  parts.remove.setAttribute('aria-label', `Remove ${item.name}`);
}

function styleTile(style, changed) {
  const image = picture();
  setPicture(image, path('styles', style.name));
  const tile = h('button', { type: 'button', class: 'tile', 'aria-pressed': draft.offered.has(style.name) }, h('span', { class: 'picture' }, image), h('span', { class: 'name' }, style.name));
  tile.addEventListener('click', () => {
    if (!draft.offered.delete(style.name)) draft.offered.add(style.name);
    tile.setAttribute('aria-pressed', draft.offered.has(style.name));
    changed();
  });
  return tile;
}

function check(words, on, listen) {
  const box = h('input', { type: 'checkbox', checked: on });
  box.addEventListener('change', () => listen(box.checked));
  return h('label', { class: 'line' }, box, ` ${words}`);
}

function submitSection(options, signal) {
  const summary = h('p', { class: 'summary', role: 'status' });
  const [problem, tell] = problemLine();
  const name = h('input', { value: draft.name, placeholder: 'chosen for you', autocomplete: 'off', spellcheck: 'false' });
  name.addEventListener('input', () => {
    draft.name = name.value;
  });
  const priority = h('select', {}, ...['high', 'normal', 'low'].map((word) => h('option', { selected: word === draft.priority }, word)));
  priority.addEventListener('change', () => {
    draft.priority = priority.value;
  });
  const every = h('input', { value: draft.every, placeholder: 'none', inputmode: 'numeric', autocomplete: 'off' });
  every.addEventListener('input', () => {
    draft.every = every.value.trim();
  });
  const preview = h('button', { type: 'button' }, 'Try it small');
  const submit = h('button', { type: 'button', class: 'main' }, 'Submit');
  const trial = new Trial(signal);

  const ready = () => contents.done.length > 0 && draft.offered.size + styles.done.length > 0;
  const show = () => {
    const number = contents.done.length;
    const looks = draft.offered.size + styles.done.length;
    const busy = contents.isBusy || styles.isBusy;
    preview.disabled = !ready();
    submit.disabled = !ready() || busy;
    const results = plural(number * (draft.blend ? Math.min(1, looks) : looks), 'result');
    setText(summary, busy ? 'Pictures are on their way to the store …' : ready() ? `${plural(number, 'picture')} × ${draft.blend ? 'one blend of ' : ''}${plural(looks, 'style')}: ${results}.` : number ? 'Choose a style.' : 'Add a picture.');
  };
  const send = async (button, batch) => {
    button.disabled = true;
    tell(null);
    try {
      return await post('api/batches', await batch());
    } catch (error) {
      tell(error);
      return null;
    } finally {
      show();
    }
  };
  const order = async () => ({
    name: draft.name.trim() || null,
    contents: contents.done.map(picked),
    styles: await chosenStyles(options),
    blend: draft.blend,
    preset: draft.preset,
    parameters: draft.parameters,
    priority: draft.priority,
    preview_every: Number(draft.every) || null,
  });
  preview.addEventListener('click', async () => {
    const answer = await send(preview, async () => {
      const full = await order();
      return { ...full, name: `preview-${Date.now().toString(36)}`, contents: full.contents.slice(0, PREVIEW_CONTENTS), parameters: { ...full.parameters, ...PREVIEW }, priority: 'high', preview_every: PREVIEW_EVERY };
    });
    if (answer) trial.follow(answer.batch);
  });
  submit.addEventListener('click', async () => {
    const answer = await send(submit, order);
    if (!answer) return;
    toast(`${answer.batch}: ${plural(answer.results, 'result')} submitted.`);
    contents.clear();
    draft.name = '';
    location.hash = hash(['batches', answer.batch]);
  });
  const element = h('section', {}, h('h2', {}, 'Submit'), h('div', { class: 'dials' }, h('label', {}, 'Name of the batch', name), h('label', {}, 'Priority', priority), h('label', {}, 'Steps between previews', every)), summary, problem, h('p', { class: 'buttons' }, preview, submit), trial.element);
  return { element, show };
}

function picked({ sha256, name }) {
  return { sha256, name };
}

// Styles that are offered are uploaded when they are used, once.
const uploaded = new Map();

async function chosenStyles(options) {
  const offered = options.styles.filter(({ name }) => draft.offered.has(name));
  return [...(await Promise.all(offered.map(offeredStyle))), ...styles.done.map(picked)];
}

async function offeredStyle(style) {
  if (!uploaded.has(style.name)) {
    const file = await (await fetch(path('styles', style.name))).blob();
    uploaded.set(style.name, picked(await upload(file, style.name)));
  }
  return uploaded.get(style.name);
}

// A preview under way: its pictures appear where it was asked for.
class Trial {
  constructor(signal) {
    this.signal = signal;
    this.results = h('div', { class: 'trial' });
    this.element = h('div', { hidden: true }, h('h3', {}, 'Small'), this.results);
    this.elements = new Map();
    events.addEventListener('result', ({ detail }) => detail.batch === this.batch && this.#show(detail), { signal });
    events.addEventListener('regained', () => this.batch && this.#load(), { signal });
  }

  follow(batch) {
    this.batch = batch;
    this.elements.clear();
    fill(this.results);
    this.element.hidden = false;
    events.watch({ batch });
    this.#load();
  }

  async #load() {
    try {
      const { results } = await get(path('batches', this.batch, 'results'), {}, this.signal);
      results.forEach((result) => this.#show(result));
    } catch (error) {
      if (error.name !== 'AbortError') toast(error.message, { bad: true });
    }
  }

  #show(result) {
    if (!this.elements.has(result.job)) {
      this.elements.set(result.job, this.results.appendChild(createResult()));
    }
    updateResult(this.elements.get(result.job), result);
  }
}
