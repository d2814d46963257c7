// A job: its pictures, how its loss falls, and everything known of it.

import { cancelJob, retryJob } from '../actions.js';
import { events, get, path } from '../api.js';
import { fill, h, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { ago, bytes, clock, count, duration, figure, plural } from '../format.js';
import { Curve } from '../widgets/curve.js';
import { hash, problemLine, viewHeader } from '../widgets/parts.js';
import { Stage } from '../widgets/stage.js';
import { progressBar, setProgress, setState, stateMark } from '../widgets/states.js';
import { Strip } from '../widgets/strip.js';

const INPUTS_LISTED = 20;
const ENDINGS = { 'image/png': 'png', 'image/jpeg': 'jpg', 'image/tiff': 'tiff', 'video/mp4': 'mp4', 'video/webm': 'webm', 'application/json': 'json' };

export function jobView({ main, parts: [, id = ''], signal }) {
  const [problem, tell] = problemLine();
  const header = jobHeader(id);
  const stage = new Stage();
  const strip = new Strip((preview) => stage.choose(preview), signal);
  const curve = new Curve(id, signal);
  const curveSection = h('section', { 'aria-label': 'Loss', hidden: true }, h('h2', {}, 'Loss'), curve.element);
  const facts = h('div', { class: 'facts' });
  const log = eventLog();
  const all = h('div', { hidden: true }, stage.element, strip.element, curveSection, facts, log.element);
  main.append(header.element, problem, all);
  let state = null;
  let told = null;

  // Written anew only where something is new, or nobody could select a text.
  const showFacts = (job) => {
    const now = JSON.stringify([job.record, job.specification, job.attempt, job.checkpoint, job.inputs.length]);
    if (now === told) return;
    told = now;
    fill(facts, ...factsOf(job));
  };
  const show = async (job) => {
    all.hidden = false;
    header.show(job);
    stage.set(job);
    strip.set(job.previews);
    showFacts(job);
    log.set(job.diary);
    const changed = state !== job.state || curveSection.hidden;
    state = job.state;
    curveSection.hidden = !job.has_curve;
    if (job.has_curve && changed) await curve.load();
    else if (job.progress) curve.add(job.progress);
  };
  const load = async () => {
    try {
      await show(await get(path('jobs', id), {}, signal));
      tell(null);
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  events.addEventListener('job', ({ detail }) => {
    if (detail.job !== id) return;
    tell(null); // it may have been unknown when the page was opened
    show(detail);
  }, { signal });
  return { title: id.slice(0, 12), reload: () => Promise.all([load(), curveSection.hidden || curve.load()]), ready: load() };
}

function jobHeader(id) {
  const state = stateMark();
  const where = h('span', { class: 'notes' });
  const bar = progressBar();
  const detail = h('span', { class: 'note' });
  const reason = h('p', { class: 'reason', hidden: true });
  const retry = h('button', { type: 'button', hidden: true, on: { click: () => retryJob(id) } }, 'Retry');
  const cancel = h('button', { type: 'button', class: 'danger', hidden: true }, 'Cancel');
  const head = viewHeader(id.slice(0, 12), state, h('span', { class: 'buttons' }, retry, cancel));
  const title = head.querySelector('h1');
  cancel.addEventListener('click', () => cancelJob(id, title.textContent));
  const element = h('div', {}, head, where, h('div', { class: 'overall' }, bar, detail), reason);

  const show = (job) => {
    const [first] = job.names;
    setText(title, first?.name ?? id.slice(0, 12));
    document.title = `${title.textContent} – Stylefleet`;
    setState(state, job.state);
    fill(where, ...job.names.slice(0, 5).map(({ batch }) => h('a', { href: hash(['batches', batch]) }, batch)), job.kind && h('span', {}, job.kind), job.worker && h('span', {}, `at ${job.worker}`), job.since && h('span', {}, 'since ', ago(job.since)), job.deaths > 0 && h('span', { class: 'stuck' }, `${plural(job.deaths, 'worker')} died over it`));
    const progress = job.state === 'running' ? job.progress : null;
    setProgress(bar, progress);
    setText(detail, progress ? told(progress) : '');
    reason.hidden = !job.failure;
    setText(reason, job.failure ? `${job.failure.reason} (after ${plural(job.failure.attempts, 'attempt')})` : '');
    retry.hidden = !fleet.offersActions || job.state !== 'failed';
    cancel.hidden = !fleet.offersActions || !['running', 'waiting', 'stopped', 'not-accepted'].includes(job.state);
  };
  return { element, show };
}

function told(progress) {
  const loss = progress.figures?.loss;
  const parts = [
    progress.unit === 'frames' ? `frame ${count(progress.done)} of ${count(progress.total)}` : `${progress.phase}: ${count(progress.done)} of ${count(progress.total)} ${progress.unit}`,
    Number.isFinite(progress.seconds_left) && `${duration(progress.seconds_left)} left`,
    Number.isFinite(loss) && `loss ${figure(loss)}`,
  ];
  return parts.filter(Boolean).join(' · ');
}

function factsOf(job) {
  const { record, checkpoint } = job;
  const outcome = record && {
    Took: duration(record.seconds),
    Steps: count(record.steps),
    Attempt: record.attempt,
    Device: record.device,
    ...values(record.figures),
  };
  const now = {
    Attempt: record ? null : job.attempt,
    Checkpoint: checkpoint && [bytes(checkpoint.bytes), ' ', ago(checkpoint.unix_seconds)],
  };
  const files = [...job.outputs.map((output) => link(output, fileName(job, output))), ...job.inputs.slice(0, INPUTS_LISTED).map((input) => link(input, input.name))];
  return [
    table('Outcome', { ...outcome, ...now }),
    table('Parameters', { ...job.names[0]?.labels, ...values(flatten(job.specification)) }),
    record && table('Made with', record.made_with),
    files.length > 0 && h('section', {}, h('h2', {}, 'Files'), h('ul', { class: 'plain' }, ...files)),
    record?.notes.length > 0 && h('section', {}, h('h2', {}, 'Notes'), h('ul', {}, ...record.notes.map((note) => h('li', {}, note)))),
    h('section', { class: 'id' }, h('h2', {}, 'Id'), h('code', {}, job.job)),
  ];
}

function fileName(job, { role, media_type: type }) {
  return `${job.names[0]?.name ?? job.job.slice(0, 12)}.${ENDINGS[type] ?? role}`;
}

function link({ role, url }, name) {
  return h('li', {}, h('span', { class: 'note' }, `${role} `), h('a', { href: url, download: name }, name));
}

function table(title, entries) {
  const rows = Object.entries(entries).filter(([, value]) => value !== null && value !== undefined && value !== '');
  if (rows.length === 0) return null;
  return h('section', {}, h('h2', {}, title), h('table', {}, h('tbody', {}, ...rows.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, ...[value].flat().map(asChild)))))));
}

// Elements stay what they are; all else is text.
function asChild(value) {
  return value instanceof Node ? value : String(value);
}

function values(entries) {
  return Object.fromEntries(Object.entries(entries ?? {}).map(([name, value]) => [name, typeof value === 'number' ? figure(value) : value]));
}

// {parameters: {size: {longest: 512}}} is size.longest 512; lists of layers are one line.
function flatten(value, name = '') {
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object') return { [name]: value };
  if (Array.isArray(value)) return { [name]: value.map(item).join(', ') };
  const parts = Object.entries(value).map(([key, part]) => flatten(part, name && name !== 'parameters' ? `${name}.${key}` : key));
  return Object.assign({}, ...parts);
}

function item(value) {
  if (value !== null && typeof value === 'object') {
    return 'layer' in value ? `${value.layer}=${figure(value.weight)}` : JSON.stringify(value);
  }
  return typeof value === 'number' ? figure(value) : value;
}

function eventLog() {
  const lines = h('ol', { class: 'events', reversed: true });
  const element = h('section', { 'aria-label': 'Attempts and events' }, h('h2', {}, 'Attempts and events'), lines);
  const line = (event) => h('li', { class: `event-${event.what}` }, h('span', { class: 'note' }, clock(event.unix_millis)), h('b', {}, event.what), event.text && h('span', {}, event.text), h('span', { class: 'note' }, [event.worker, event.attempt && `attempt ${event.attempt}`].filter(Boolean).join(', ')));
  let shown = 0;
  const set = (events) => {
    if (events.length === shown) return;
    shown = events.length;
    element.hidden = shown === 0;
    fill(lines, ...[...events].reverse().map(line));
  };
  return { element, set };
}
