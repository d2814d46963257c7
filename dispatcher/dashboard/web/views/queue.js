// What waits: depths by queue and over the last hour, rates, and how long it will take.

import { events } from '../api.js';
import { fill, h } from '../dom.js';
import { fleet } from '../fleet.js';
import { count, duration, figure } from '../format.js';
import { Chart } from '../widgets/chart.js';
import { problemLine, viewHeader } from '../widgets/parts.js';

const EVERY = 10; // seconds between points of the history
const KEPT = 360;
const QUEUES = { high: 'High', normal: 'Normal', low: 'Low', retrying: 'Retrying', abandoned: 'Abandoned', dead: 'Dead letters' };

export function queueView({ main, signal }) {
  const [problem, tell] = problemLine();
  const cards = h('dl', { class: 'cards' });
  const note = h('p', { class: 'note' });
  const time = (unix) => new Date(unix * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const chart = new Chart({ label: 'Jobs that wait, workers that are busy, and dead letters, over the last hour', x: '', formatX: time, formatY: (y) => figure(Math.round(y)) }, signal);
  let history = [];

  const show = (known) => {
    const { queue, rates, workers } = known;
    const waiting = queue ? queue.high + queue.normal + queue.low + (queue.retrying ?? 0) : known.jobs.waiting;
    const toEmpty = waiting === 0 ? 'empty' : rates.finished_per_hour > 0 ? duration((3600 * waiting) / rates.finished_per_hour) : '–';
    const depths = Object.entries(QUEUES).filter(([name]) => queue && name in queue);
    fill(
      cards,
      ...depths.map(([name, word]) => card(word, count(queue[name]), name === 'dead' && queue.dead > 0 ? '#/dead' : null)),
      queue ? null : card('Waiting', count(waiting)),
      card('Busy workers', `${count(workers.busy)}/${count(workers.total)}`, '#/workers'),
      card('Finished an hour', figure(Math.round(rates.finished_per_hour))),
      card('Failed an hour', figure(Math.round(rates.failed_per_hour))),
      card('Time to empty', toEmpty),
    );
    note.textContent = `Rates are those of the last ${duration(rates.seconds)}.`;
    if (!queue) note.textContent += known.broker === 'none' ? ' There is no broker: jobs wait in this program.' : ' The broker does not answer: only the store is known.';
    const now = Math.round(Date.now() / 1000);
    if (now - (history.at(-1)?.[0] ?? 0) >= EVERY) {
      history.push([now, waiting, workers.busy, queue?.dead ?? 0]);
      draw();
    }
  };
  const draw = () => {
    history = history.slice(-KEPT);
    const line = (name, place) => ({ name, values: history.map((point) => point[place]) });
    chart.show(history.map(([unix]) => unix), [line('waiting', 1), line('busy', 2), line('dead', 3)]);
  };
  const load = async () => {
    try {
      const known = await fleet.load();
      history = [...(known.history ?? [])];
      show(known);
      draw();
      tell(null);
    } catch (error) {
      tell(error);
    }
  };
  events.addEventListener('fleet', () => show(fleet.document), { signal });
  main.append(viewHeader('Queue'), problem, cards, chart.element, note);
  return { title: 'Queue', reload: load, ready: load() };
}

function card(word, value, href = null) {
  return h('div', {}, h('dt', {}, word), h('dd', {}, href ? h('a', { href }, value) : value));
}
