// The workers: what each is at, and when it was last heard of.

import { events, get } from '../api.js';
import { atMostEach, h, setText } from '../dom.js';
import { fleet } from '../fleet.js';
import { bytes, count, duration, figure, now } from '../format.js';
import { WindowedList } from '../widgets/list.js';
import { hash, onNarrow, problemLine, viewHeader } from '../widgets/parts.js';
import { progressBar, setProgress } from '../widgets/states.js';

const SILENT = 15_000; // milliseconds after which a worker that pulses each second is suspect

export function workersView({ main, signal }) {
  const [problem, tell] = problemLine();
  const numbers = h('span', { class: 'note' });
  const search = h('input', { type: 'search', placeholder: 'Name or device', 'aria-label': 'Search workers', autocomplete: 'off', spellcheck: 'false' });
  const empty = h('p', { class: 'empty', hidden: true }, 'No worker has been heard of. Start one with ', h('code', {}, 'stylefleet-worker serve'), '.');
  const height = (narrow) => (narrow ? 104 : 56);
  const list = new WindowedList({
    label: 'Workers',
    height: height(onNarrow((narrow) => list.resize(height(narrow)), signal)),
    key: (worker) => worker.name,
    create: createWorker,
    update: updateWorker,
    fetchPage: async (offset, limit, abort) => {
      const { total, workers } = await get('api/workers', { offset, limit, q: search.value.trim() }, abort);
      return { total, items: workers };
    },
    onTotal: (total) => {
      empty.hidden = total > 0 || search.value !== '';
    },
    onError: tell,
  }, signal);
  const reload = atMostEach(2000, () => list.reload());
  const showNumbers = () => {
    const { busy = 0, workers = 0 } = fleet.document ?? {};
    setText(numbers, `${count(busy)} of ${count(workers)} busy`);
  };
  fleet.addEventListener('change', showNumbers, { signal });
  events.addEventListener('fleet', reload, { signal });
  showNumbers();
  search.addEventListener('input', atMostEach(250, () => list.reload({ clear: true })));
  const heads = h('div', { class: 'worker heads', 'aria-hidden': 'true' }, ...['Worker', 'Job', 'Progress', 'Speed', 'Memory', 'Last pulse'].map((head) => h('span', {}, head)));
  main.append(viewHeader('Workers', numbers), problem, h('div', { class: 'toolbar' }, search), empty, heads, list.element);
  return { title: 'Workers', list, reload, ready: list.reload() };
}

function createWorker() {
  const element = h('div', { class: 'item worker' });
  const parts = {
    name: h('b', {}),
    device: h('span', { class: 'note' }),
    job: h('a', { class: 'name' }),
    batch: h('a', { class: 'note' }),
    idle: h('span', { class: 'note' }, 'idle'),
    bar: progressBar(),
    done: h('span', { class: 'note' }),
    speed: h('span', {}),
    memory: h('span', {}),
    pulse: h('span', {}),
  };
  element.parts = parts;
  element.append(
    h('span', { class: 'two' }, parts.name, parts.device),
    h('span', { class: 'two' }, parts.job, parts.batch, parts.idle),
    h('span', { class: 'two' }, parts.done, parts.bar),
    labelled('Speed', parts.speed),
    labelled('Memory', parts.memory),
    labelled('Last pulse', parts.pulse),
  );
  return element;
}

// The heads of columns are for the eye; in each row the words are there for screen readers.
function labelled(label, value) {
  return h('span', { class: 'figure' }, h('span', { class: 'hidden' }, `${label}: `), value);
}

function updateWorker(element, worker) {
  const { parts } = element;
  setText(parts.name, worker.name);
  parts.name.title = worker.name;
  setText(parts.device, worker.device ?? '');
  for (const part of [parts.job, parts.batch, parts.done]) part.hidden = !worker.job;
  parts.idle.hidden = Boolean(worker.job);
  if (worker.job) {
    parts.job.href = hash(['jobs', worker.job]);
    setText(parts.job, worker.result ?? worker.job.slice(0, 12));
    parts.batch.hidden = !worker.batch;
    parts.batch.href = hash(['batches', worker.batch ?? '']);
    setText(parts.batch, worker.batch ?? '');
  }
  setProgress(parts.bar, worker.job ? worker.progress : null);
  setText(parts.done, worker.progress ? `${worker.progress.phase}: ${count(worker.progress.done)}/${count(worker.progress.total)}` : '');
  setText(parts.speed, worker.steps_per_second ? `${figure(Number(worker.steps_per_second.toPrecision(3)))} steps/s` : '–');
  setText(parts.memory, worker.memory_bytes ? `${bytes(worker.memory_bytes)} of ${bytes(worker.memory_size_bytes)}` : '–');
  const silent = Math.max(0, now() - worker.last_pulse_unix_millis);
  setText(parts.pulse, silent < 5000 ? 'now' : `${duration(silent / 1000)} ago`);
  element.classList.toggle('silent', silent > SILENT);
}
