// The server's API: requests, and what the server tells by itself.

import { setClock } from './format.js';

/** Why a request failed: the server's own line, or that it cannot be reached. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Asked for a token: the page shows its dialog and says whether somebody logged in. */
export const login = { ask: async () => false };

/** GET, with parameters that may be left out. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return request(text ? `${path}?${text}` : path, { signal });
}

/** An action. Where it takes a token, it asks for one, once. */
export function post(path, body) {
  return act(path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
}

/** Uploads an image. */
export function upload(file, name, signal) {
  return act(`api/images?${new URLSearchParams({ name })}`, { body: file, signal });
}

/** Logs in; the server sets a cookie that scripts cannot read. */
export function openSession(token) {
  const headers = { 'content-type': 'application/json' };
  return request('api/session', action({ body: JSON.stringify({ token }), headers }));
}

/** Logs out: the browser forgets the cookie. */
export function closeSession() {
  return request('api/session', action({ method: 'DELETE' }));
}

/** A path made of parts that may hold anything. */
export function path(...parts) {
  return ['api', ...parts.map(encodeURIComponent)].join('/');
}

async function act(where, options) {
  try {
    return await request(where, action(options));
  } catch (error) {
    if (error.status !== 401 || !(await login.ask())) throw error;
    return request(where, action(options));
  }
}

// No form of another site can send this header.
function action(options) {
  return { method: 'POST', ...options, headers: { ...options.headers, 'x-stylefleet': '1' } };
}

async function request(where, options) {
  let response;
  try {
    response = await fetch(where, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('The dashboard does not answer: is it still running?', 0);
  }
  setClock(response.headers.get('date'));
  const text = await response.text();
  let answer = null;
  try {
    answer = text === '' ? null : JSON.parse(text);
  } catch {
    // Something else than the server answered, as a proxy does.
  }
  if (!response.ok) throw new ApiError(answer?.error ?? `The server answers ${response.status}`, response.status);
  return answer;
}

const KINDS = ['fleet', 'batch', 'result', 'job', 'changed'];

/**
 * What the server tells: `fleet`, `batch`, `result`, `job` and `changed` as it sends them, with the
 * data in `detail`. Beside these, `lost` and `regained` tell of the connection itself.
 */
class ServerEvents extends EventTarget {
  #source = null;
  #query = '';
  #lost = false;
  #retry = null;
  #wait = 1000;

  constructor() {
    super();
    // A browser allows six connections to a server: a tab that nobody sees gives its own back.
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#close();
      else if (this.#source === null) this.#open(true);
    });
  }

  /** Follows the fleet, and a batch or a job more closely. */
  watch(what = {}) {
    this.#query = new URLSearchParams(what).toString();
    this.#close();
    if (!document.hidden) this.#open(false);
  }

  #open(again) {
    const source = new EventSource(this.#query ? `api/events?${this.#query}` : 'api/events');
    this.#source = source;
    source.onopen = () => {
      this.#wait = 1000;
      if (this.#lost || again) this.#tell('regained');
      this.#lost = false;
    };
    source.onerror = () => {
      if (!this.#lost) this.#tell('lost');
      this.#lost = true;
      // It tries again by itself unless the server, or a proxy, refused it.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#close();
      this.#retry = setTimeout(() => this.#open(false), this.#wait);
      this.#wait = Math.min(2 * this.#wait, 30_000);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => this.#tell(kind, JSON.parse(event.data)));
    }
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

export const events = new ServerEvents();
