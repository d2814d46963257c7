// What waits: depths by queue and over the last hour, rates, and how long it will take.

import { events, get } from '../api.js';
import { fill, h, setText } from '../dom.js';
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
    const { waiting, rates, workers = 0, busy = 0, seconds_to_empty: left } = known;
    const depths = waiting ? Object.entries(QUEUES) : [];
    fill(
      cards,
      ...depths.map(([name, word]) => card(word, count(waiting[name]), name === 'dead' && waiting.dead > 0 ? '#/dead' : null)),
      card('Busy workers', `${count(busy)}/${count(workers)}`, '#/workers'),
      rates && card('Finished an hour', figure(Math.round(rates.finished_per_hour))),
      rates && card('Failed an hour', figure(Math.round(rates.failed_per_hour))),
      card('Time to empty', Number.isFinite(left) ? duration(left) : '–'),
    );
    setText(note, rates ? `Rates are those of the last ${duration(rates.seconds)}.` : '');
    tell(known.broker_trouble ? { message: known.broker_trouble } : null);
    const now = Math.round(Date.now() / 1000);
    if (waiting && now - (history.at(-1)?.unix_seconds ?? 0) >= EVERY) {
      history.push({ unix_seconds: now, ...waiting, busy });
      draw();
    }
  };
  const draw = () => {
    history = history.slice(-KEPT);
    const line = (name, value) => ({ name, values: history.map(value) });
    chart.show(history.map(({ unix_seconds: unix }) => unix), [
      line('waiting', ({ high, normal, low, retrying }) => high + normal + low + retrying),
      line('busy', ({ busy }) => busy),
      line('dead', ({ dead }) => dead),
    ]);
  };
  const load = async () => {
    try {
      [history] = await Promise.all([get('api/history', {}, signal), fleet.load()]);
      draw();
      show(fleet.document);
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  events.addEventListener('fleet', () => show(fleet.document), { signal });
  main.append(viewHeader('Queue'), problem, cards, chart.element, note);
  return { title: 'Queue', reload: load, ready: load() };
}

function card(word, value, href = null) {
  return h('div', {}, h('dt', {}, word), h('dd', {}, href ? h('a', { href }, value) : value));
}
