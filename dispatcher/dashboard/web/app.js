// The page: which view the address asks for, the header, and the keys.

import { closeSession, events, login, openSession } from './api.js';
import { setText } from './dom.js';
import { fleet } from './fleet.js';
import { count } from './format.js';
import { nextTheme, theme } from './theme.js';
import { batchView } from './views/batch.js';
import { batchesView } from './views/batches.js';
import { deadView } from './views/dead.js';
import { helpDialog } from './views/help.js';
import { jobView } from './views/job.js';
import { newView } from './views/new.js';
import { queueView } from './views/queue.js';
import { searchView } from './views/search.js';
import { workersView } from './views/workers.js';
import { askForToken, toast } from './widgets/dialogs.js';

// The first part of the address after #/, and whether something must follow it.
const VIEWS = {
  '': batchesView,
  batches: (place) => (place.parts.length > 1 ? batchView(place) : batchesView(place)),
  jobs: jobView,
  workers: workersView,
  queue: queueView,
  dead: deadView,
  new: newView,
  search: searchView,
};
const NAV = { '': 'batches', jobs: 'batches' };

const main = document.getElementById('main');
const byId = (id) => document.getElementById(id);
let view = null; // what the view gave: { title, list, reload, ready }
let leaving = null; // aborted when the view goes
let here = null; // its address
let followed = true; // whether a link led here, rather than the browser's history
const scrolled = new Map();
history.scrollRestoration = 'manual';

/** The parts and the query of an address after #. */
function place(hash) {
  const [path, query] = hash.replace(/^#?\/?/, '').split('?');
  const parts = path.split('/').filter((part) => part !== '').map(decode);
  return { parts, query: new URLSearchParams(query) };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function route() {
  if (here !== null) scrolled.set(here, scrollY);
  const first = here === null;
  const focused = document.activeElement?.dataset?.focus;
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  here = location.hash;
  const at = place(here);
  const name = at.parts[0] ?? '';
  const show = Object.hasOwn(VIEWS, name) ? VIEWS[name] : VIEWS[''];
  if (fleet.may('read')) events.watch(followedBy(at.parts));
  main.replaceChildren();
  view = show({ ...at, main, signal });
  document.title = `${view.title} – Stylefleet`;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.dataset.view === (NAV[name] ?? name)) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const again = focused && main.querySelector(`[data-focus="${CSS.escape(focused)}"]`);
  if (again) again.focus({ preventScroll: true });
  else if (!first && !document.activeElement?.closest('#search')) main.focus({ preventScroll: true });
  const back = followed ? 0 : (scrolled.get(here) ?? 0);
  followed = false;
  scrollTo(0, 0);
  await view.ready;
  if (back > 0 && !signal.aborted) scrollTo(0, back);
}

function followedBy(parts) {
  if (parts[0] === 'batches' && parts[1]) return { batch: parts[1] };
  return parts[0] === 'jobs' && parts[1] ? { job: parts[1] } : {};
}

function showFleet() {
  const { document: known } = fleet;
  const badge = (id, number, place = byId(id)) => {
    byId(id).hidden = !number;
    setText(place, count(number));
  };
  const { waiting, workers = 0, busy = 0, stuck = 0 } = known;
  badge('waiting', waiting ? waiting.high + waiting.normal + waiting.low : 0);
  badge('dead', waiting?.dead ?? 0);
  badge('busy', busy, byId('busy').firstElementChild);
  setText(byId('busy').lastElementChild, `/${count(workers)}`);
  badge('stuck', stuck, byId('stuck').firstElementChild);
  byId('login').hidden = !known.needs_token || fleet.offersActions;
  byId('logout').hidden = !known.needs_token || !fleet.offersActions;
  byId('read-only').hidden = fleet.offersActions || known.needs_token;
  showConnection();
}

let lost = false;
function showConnection() {
  const sign = byId('connection');
  const { store_trouble: store, broker_trouble: broker } = fleet.document ?? {};
  const word = lost ? 'Connection lost' : store ? 'Store away' : broker ? 'Broker away' : '';
  sign.hidden = word === '';
  sign.title = lost ? '' : (store ?? broker ?? '');
  setText(sign, word);
}

async function logIn() {
  const done = await askForToken(openSession);
  if (done) await fleet.load();
  return done;
}

// Loaded anew, the page shows what people see who have no token.
async function logOut() {
  try {
    await closeSession();
    location.reload();
  } catch (error) {
    toast(error.message, { bad: true });
  }
}

login.ask = logIn;

events.addEventListener('lost', () => {
  lost = true;
  showConnection();
  toast('The connection to the dashboard is lost. Trying again.', { bad: true });
});
events.addEventListener('regained', () => {
  if (lost) toast('Connected again.');
  lost = false;
  showConnection();
  view?.reload?.();
});
fleet.addEventListener('change', showFleet);
fleet.addEventListener('rights', () => here !== null && route());

// Keys: letters alone, where nobody is typing.
const GO = { b: '#/batches', n: '#/new', q: '#/queue', w: '#/workers', d: '#/dead' };
let awaitsView = false;

function key(event) {
  const typing = event.target.closest('input, textarea, select, dialog');
  if (event.key === 'Escape' && event.target.closest('#search')) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const go = awaitsView && GO[event.key];
  awaitsView = event.key === 'g';
  if (go) location.hash = go;
  else if (event.key === '/') byId('search').q.focus();
  else if (event.key === 'j') move(1);
  else if (event.key === 'k') move(-1);
  else if (event.key === '?') helpDialog();
  else return;
  event.preventDefault();
}

function move(by) {
  if (view?.list) {
    view.list.move(by);
    return;
  }
  const links = [...main.querySelectorAll('a.name')];
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

function showTheme(choice) {
  const words = { system: 'as the system', light: 'light', dark: 'dark' };
  byId('theme').setAttribute('aria-label', `Colours: ${words[choice]}`);
  byId('theme').title = `Colours: ${words[choice]}`;
}

document.addEventListener('keydown', key);
document.addEventListener('click', (event) => {
  if (event.target.closest('a[href^="#"]')) followed = true;
}, true);
byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
byId('login').addEventListener('click', logIn);
byId('logout').addEventListener('click', logOut);
byId('help').addEventListener('click', helpDialog);
byId('theme').addEventListener('click', () => showTheme(nextTheme()));
byId('search').addEventListener('submit', (event) => {
  event.preventDefault();
  const q = byId('search').q.value.trim();
  if (!q) return;
  followed = true;
  location.hash = `#/search?${new URLSearchParams({ q })}`;
});
addEventListener('hashchange', route);
showTheme(theme());

async function start() {
  try {
    await fleet.load();
    if (!fleet.may('read')) await logIn();
  } catch (error) {
    toast(error.message, { bad: true });
  }
  return route();
}

await start();
