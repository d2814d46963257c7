// Dialogs, and short messages at the bottom of the page.

import { h } from '../dom.js';

/** Shows a dialog with this content; gives its `returnValue` when it closes. */
export function show(title, content, buttons) {
  const opener = document.activeElement;
  const heading = h('h2', { id: 'dialog-title' }, title);
  const form = h('form', { method: 'dialog' }, heading, ...[content].flat(), h('p', { class: 'buttons' }, ...buttons));
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(dialog.returnValue);
    });
  });
}

/** Asks before what cannot be undone. */
export async function confirm(title, text, action) {
  const buttons = [
    h('button', { value: '', formnovalidate: true }, 'Leave it'),
    h('button', { value: 'yes', class: 'danger' }, action),
  ];
  return (await show(title, h('p', {}, text), buttons)) === 'yes';
}

/** Asks for the token, until `open(token)` takes it or somebody gives up. */
export async function askForToken(open) {
  const input = h('input', { type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'login-error' });
  const problem = h('p', { class: 'error', role: 'alert', id: 'login-error' });
  const submit = h('button', { value: 'yes', class: 'main' }, 'Log in');
  submit.addEventListener('click', async (event) => {
    event.preventDefault();
    if (!submit.form.reportValidity()) return;
    try {
      await open(input.value);
      submit.closest('dialog').close('yes');
    } catch (error) {
      problem.textContent = error.message;
      input.select();
    }
  });
  const text = h('p', {}, 'Actions need the token that the dashboard was started with.');
  const buttons = [h('button', { value: '', formnovalidate: true }, 'Not now'), submit];
  // Enter presses the first button of a form: here, what logs in.
  buttons.reverse();
  return (await show('Log in', [text, h('label', {}, 'Token', input), problem], buttons)) === 'yes';
}

const HIDE_AFTER = 8000;
let timer = null;

/** Shows a short message, which screen readers speak when they are done with what they say. */
export function toast(text, { bad = false } = {}) {
  const place = document.getElementById('toast');
  place.textContent = text;
  place.classList.toggle('bad', bad);
  place.classList.add('visible');
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove('visible'), HIDE_AFTER);
}
