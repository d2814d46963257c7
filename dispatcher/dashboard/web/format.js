// Numbers and times as people read them.

import { h } from './dom.js';

// How far the server's clock is ahead of this one: a phone's may be wrong by minutes.
let ahead = 0;

/** Takes the time from an answer. */
export function setClock(date) {
  const difference = Date.parse(date) - Date.now();
  // Dates of answers are whole seconds, and under way for a while.
  if (Number.isFinite(difference)) ahead = Math.abs(difference) > 2000 ? difference : 0;
}

/** Now, by the server's clock, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

const whole = new Intl.NumberFormat('en');

/** 12,345 */
export function count(number) {
  return whole.format(number);
}

/** 1 picture, 2 pictures */
export function plural(number, word, words = `${word}s`) {
  return `${count(number)} ${number === 1 ? word : words}`;
}

/** Four digits that count, as in 1.234e+6. */
export function figure(number) {
  if (!Number.isFinite(number)) return '–';
  if (Number.isInteger(number) && Math.abs(number) < 1e7) return count(number);
  const size = Math.abs(number);
  return size >= 1e5 || size < 1e-3 ? number.toExponential(2).replace('+', '') : String(Number(number.toPrecision(4)));
}

/** 0.2 s, 12 s, 3 min, 2 h 5 min, 4 d */
export function duration(seconds) {
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** 1.5 GB */
export function bytes(number) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${number >= 10 || unit === 0 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

/** A time that says how long ago it was, and goes on saying so. */
export function ago(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const time = h('time', { datetime: date.toISOString(), title: date.toLocaleString() });
  time.textContent = since(date);
  return time;
}

/** The time of day, with the date where that is another day. */
export function clock(unixMillis) {
  const date = new Date(unixMillis);
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

function since(date) {
  const seconds = (now() - date) / 1000;
  return seconds < 5 ? 'now' : `${duration(seconds)} ago`;
}

setInterval(() => {
  for (const time of document.querySelectorAll('time')) {
    const text = since(new Date(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}, 5000);
