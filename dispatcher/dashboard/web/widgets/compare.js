// Before and after in one place, with a divider to drag or to move by keys.

import { h } from '../dom.js';

const STEPS = { ArrowLeft: -2, ArrowRight: 2, ArrowDown: -2, ArrowUp: 2, PageDown: -10, PageUp: 10 };

/** A pane that shows `before` left of its divider and `after` right of it, zoomed by `zoom`. */
export function compare(before, after, zoom) {
  const slider = h('div', {
    class: 'divider',
    role: 'slider',
    tabindex: 0,
    'aria-label': 'Before and after',
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  const front = h('div', { class: 'front' }, before);
  const pane = h('div', { class: 'pane compare', tabindex: 0, role: 'group', 'aria-label': 'Content and result in one place' }, after, front, slider);
  let share = 50;

  const set = (value) => {
    share = Math.min(100, Math.max(0, value));
    slider.style.setProperty('left', `${share}%`);
    front.style.setProperty('clip-path', `inset(0 ${100 - share}% 0 0)`);
    slider.setAttribute('aria-valuenow', Math.round(share));
    slider.setAttribute('aria-valuetext', `${Math.round(share)} % content, the rest result`);
  };
  const follow = (event) => {
    const box = pane.getBoundingClientRect();
    set(((event.clientX - box.left) / box.width) * 100);
  };
  slider.addEventListener('keydown', (event) => {
    if (event.key in STEPS) set(share + STEPS[event.key]);
    else if (event.key === 'Home') set(0);
    else if (event.key === 'End') set(100);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  slider.addEventListener('pointerdown', (event) => slider.setPointerCapture(event.pointerId));
  slider.addEventListener('pointermove', (event) => {
    if (slider.hasPointerCapture(event.pointerId)) follow(event);
  });
  // Elsewhere a press brings the divider there, unless it moves a magnified picture.
  pane.addEventListener('click', (event) => {
    if (zoom.scale === 1 && event.target !== slider && event.detail === 1) follow(event);
  });
  set(share);
  return pane;
}
