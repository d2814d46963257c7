// What people do with jobs: asked about where it cannot be undone, done, and told.

import { post } from './api.js';
import { plural } from './format.js';
import { confirm, toast } from './widgets/dialogs.js';

/** Retries a job. */
export function retryJob(job) {
  return retryDead({ ids: [job] });
}

/** Retries every failed job of a batch. */
export function retryBatch(batch) {
  return retryDead({ batch });
}

/** Cancels a job, once that is confirmed. */
export async function cancelJob(job, name) {
  const text = `“${name}” is not made, and a worker at it goes on to another job. Submitted again, it is made after all.`;
  if (await confirm('Cancel this job?', text, 'Cancel the job')) await act('api/cancel', { jobs: [job] });
}

/** Cancels what waits of a batch. */
export async function cancelWaiting(batch, number) {
  const text = `What waits of “${batch}” is cancelled: ${plural(number, 'job')}. What is under way goes on.`;
  if (await confirm('Cancel what waits?', text, 'Cancel what waits')) {
    await act('api/cancel', { batch, only_waiting: true });
  }
}

/** Cancels all of a batch that is not over. */
export async function cancelBatch(batch, number) {
  const text = `What is not over of “${batch}” is cancelled, also what is under way: ${plural(number, 'job')}.`;
  if (await confirm('Cancel the batch?', text, 'Cancel all')) await act('api/cancel', { batch });
}

/** Retries dead letters: `which` is `{ ids }`, `{ batch }` or `{ all: true }`. */
export function retryDead(which) {
  return act('api/dead/retry', which);
}

/** Drops dead letters, once that is confirmed. */
export async function dropDead(which, number) {
  const text = `What is dropped cannot be retried any more: ${plural(number, 'letter')}. The store keeps the reasons.`;
  if (await confirm('Drop dead letters?', text, 'Drop them')) await act('api/dead/drop', which);
}

async function act(path, body) {
  try {
    const answer = await post(path, body);
    toast(told(answer));
  } catch (error) {
    toast(error.message, { bad: true });
  }
}

const WORDS = {
  retried: 'retried',
  dropped: 'dropped',
  cancelled: 'cancelled',
  over: 'already over',
  passed_over: 'left as they are',
};

function told(answer) {
  const parts = Object.entries(WORDS).filter(([field]) => answer?.[field] > 0);
  const words = parts.map(([field, word]) => `${answer[field]} ${word}`).join(', ');
  return words ? `${words[0].toUpperCase()}${words.slice(1)}.` : 'There was nothing to do.';
}
